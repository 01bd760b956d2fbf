"""A pump moves bytes between two channels, both ways, for an application that needs a plain socket.

One channel is the client's, for example with TLS; the other is one end of a socket pair, whose other end the
application has. Each end reads only when the other has sent everything that it was given, so whoever does not
read holds up whoever sends.
"""

from __future__ import annotations

from typing import Any

from gevent.event import Event

from geventkws.loop.channel import Channel
from geventkws.loop.nobody import Nobody
from geventkws.loop.roles import Owner
from geventkws.net.transport import Chunk, PlainTransport


class Pump:
    """Owns both channels until ``stop``."""

    def __init__(self, client: Channel, descriptor: int, read_ahead: bytes = b"") -> None:
        """Pump between ``client`` and the socket ``descriptor``, which the pump owns.

        ``read_ahead`` is what the client sent that has been read before.
        """
        self._transport = PlainTransport(descriptor)
        inner = Channel(client.loop, self._transport)
        client.is_new = inner.is_new = False
        self._client = ClientEnd(client)
        self._inner = End(inner)
        self._client.other, self._inner.other = self._inner, self._client
        inner.start_reading()
        client.resume()
        self._inner.take(read_ahead)

    def drain(self, timeout: float | None) -> bool:
        """Take no more from the application; wait until the client has got what there is.

        Whether the application has closed its socket does not matter: a child process may have it as well.
        Returns ``False`` if the client has not got everything after ``timeout`` seconds.
        """
        if self._inner.channel.is_open:
            self._transport.shutdown_read()
        return self._client.is_done.wait(timeout)

    def stop(self) -> None:
        """Give the client's channel back to its former owner, and close the other one."""
        inner = self._inner.channel
        inner.release()
        inner.owner = Nobody(inner.loop)
        self._client.channel.owner = self._client.principal
        vars(self._inner).pop("other", None)  # or both ends would be left to the garbage collector


class End(Owner):
    """One end of a pump: the other end sends what this one receives."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.other: End
        self.is_done = Event()
        """Set when nothing more will be sent here."""
        self._output: Chunk = b""
        self._is_last = False
        channel.owner = self

    def take(self, data: bytes) -> None:
        """Send ``data``; everything that was taken before has left."""
        self._output = data
        self._flush()

    def end(self) -> None:
        """Tell the peer that nothing more will come, once everything has left. Idempotent."""
        self._is_last = True
        self._flush()

    def is_sending(self) -> bool:
        """Return whether there is something that the socket has not taken yet."""
        return bool(self._output)

    def _readable(self) -> bool:
        if self.other.is_sending():
            self.channel.pause()
            return False
        try:
            data = self.channel.recv()
        except OSError as error:
            self._cannot_receive(error)
            return False
        if data:
            self._pass_on(data)
        elif data is not None:
            self.channel.pause()
            self.other.end()
        return bool(data)

    def _pass_on(self, data: bytes) -> None:
        self.other.take(data)

    def _proceed(self) -> None:
        """Do nothing: no input is kept for another turn."""

    def _flush(self) -> None:
        if not self.channel.is_open:
            self.is_done.set()  # whoever has closed it had to, such as a server that stops
        if not self.is_done.is_set():
            try:
                self._send()
            except OSError as error:
                self._cannot_send(error)
        if self.is_done.is_set():
            self._output = b""
        if not (self._output or self._is_last):
            self.other.channel.resume()

    def _send(self) -> None:
        channel = self.channel
        while self._output or channel.is_pending():
            sent = channel.send([self._output] if self._output else [])
            self._output = memoryview(self._output)[sent:]
            if channel.is_pending() or (self._output and not sent):
                channel.await_room()
                return
        channel.has_room()
        if self._is_last:
            self.is_done.set()
            channel.transport.shutdown_write()

    # On the inner end: the application has closed its socket, but what it sent before must still be read.

    def _cannot_receive(self, error: OSError) -> None:
        self.channel.pause()
        self.other.end()

    def _cannot_send(self, error: OSError) -> None:
        self.channel.has_room()
        self.is_done.set()

    def _crashed(self, error: BaseException) -> None:
        self.other._crashed(error)


class ClientEnd(End):
    """The client's end, which acts for the channel's former owner in everything but the bytes."""

    def __init__(self, channel: Channel) -> None:
        self.principal: Owner = channel.owner
        """The owner whose application is working."""
        super().__init__(channel)

    @property
    def greenlet(self) -> Any:
        """The greenlet in which it is working."""
        return getattr(self.principal, "greenlet", None)

    def _readable(self) -> bool:
        received = super()._readable()
        if self.channel.is_open and self.channel.is_pending():
            self.channel.cork()  # what TLS itself has to say
        return received

    def _pass_on(self, data: bytes) -> None:
        if not (self.is_done.is_set() and self.channel.transport.secure):
            super()._pass_on(data)  # else it is not decrypted any more

    def _cannot_receive(self, error: OSError) -> None:
        self._crashed(error)

    def _cannot_send(self, error: OSError) -> None:
        self._crashed(error)

    def _crashed(self, error: BaseException) -> None:
        """Close both channels: the client is lost, and the application learns of it from its socket."""
        self.channel.loop.explain(error)
        self.is_done.set()
        self.other.is_done.set()
        self.channel.release()
        self.other.channel.release()

    def _check(self, now: float) -> None:
        self.principal._check(now)

    def _hurry(self) -> None:
        self.principal._hurry()

    def _abandon(self) -> None:
        self.principal._abandon()

    def _forsake(self) -> None:
        self.other.channel.release()
        self.principal._forsake()

    def _is_busy(self) -> bool:
        return self.principal._is_busy()

    def _describe(self) -> str:
        return self.principal._describe()
