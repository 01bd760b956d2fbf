"""The server: accepts connections, serves HTTP on them, keeps account of the WebSockets they become."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from gevent import Greenlet, get_hub, getcurrent, kill, monkey
from gevent.event import Event as Signal
from gevent.server import StreamServer

from geventkws.access_log import log_request, log_websocket
from geventkws.access_log import logger as access_logger
from geventkws.connection import WebSocketConnection
from geventkws.frameloop import FrameLoop
from geventkws.http.connection import HTTPConnection
from geventkws.http.context import Application, HTTPContext, no_application
from geventkws.http.environ import EnvironBuilder
from geventkws.listeners import SYSTEMD, SocketFile, bind_dual_stack, bind_unix, inherited, shown, unix_path
from geventkws.options import ServerOptions
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.reception import Reception
from geventkws.registry import ServiceRegistry, WebSocket
from geventkws.request import RemoteAddress, Request
from geventkws.sni import CertificateFiles
from geventkws.stream import Stream
from geventkws.sweep import Sweep
from geventkws.tls import check_context
from geventkws.transport import PlainTransport
from geventkws.upgrade import build_environ, upgrade

logger = logging.getLogger("geventkws.server")

LAST_MOMENT = 1.0
"""Seconds that ``stop`` gives the callbacks of those that it has dropped."""

_UNPATCHED = """\
The standard library's sockets are not patched for gevent: whatever blocks in a callback or in the \
application (requests, a database, time.sleep) will block the whole server. Put these two lines first \
in your program:
    from gevent import monkey
    monkey.patch_all()"""


class WebSocketServer(StreamServer):
    """A gevent ``StreamServer`` for a WSGI application and WebSocket services, on one port.

    ``listener`` is a (host, port) tuple, a ``"host:port"`` string or a listening socket, as gevent takes
    it, ``"unix:/run/app.sock"``, or ``"systemd"`` for the socket that systemd passes on (``"systemd:web"``
    for one of several). ``application`` is a WSGI application (PEP 3333), without which plain HTTP gets
    404; ``services`` a ``ServiceRegistry``, by default the process-wide one of ``WebSocket.register``;
    ``backlog`` and ``spawn`` are gevent's. ``certfile`` (with ``keyfile``, if the key is in a file of its
    own) or an ``ssl_context`` make it https and wss; ``certificates`` maps further names of the server,
    ``"www.example.org"`` or ``"*.example.org"``, to their (certfile, keyfile). ``options`` are the fields
    of ``ServerOptions``.

    Raises ``TypeError`` or ``ValueError`` for an option that does not exist or makes no sense.
    """

    stop_timeout = 10
    """Seconds that ``stop`` gives the connections if it is not told."""

    stopping = False
    """Whether ``stop`` was called."""

    def __init__(
        self,
        listener: Any,
        application: Application | None = None,
        services: ServiceRegistry | None = None,
        *,
        backlog: int | None = None,
        spawn: Any = "default",
        keyfile: str | None = None,
        certfile: str | None = None,
        certificates: Mapping[str, tuple[str, str | None]] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        if application is not None and not callable(application):
            raise TypeError(f"application must be a WSGI application or None, not {application!r}")
        if certfile is not None and ssl_context is not None:
            raise TypeError("give either certfile and keyfile or ssl_context, not both")
        if keyfile is not None and certfile is None:
            raise TypeError("keyfile needs certfile: the certificate that the key belongs to")
        if certificates is not None and certfile is None:
            raise TypeError("certificates needs certfile: the certificate of all other names")
        self.options = ServerOptions.from_keywords(options)
        self.services = WebSocket.services if services is None else services
        self.application = application
        self._certificates: CertificateFiles | None = None
        if certfile is not None:
            self._certificates = CertificateFiles(certfile, keyfile, certificates)
            ssl_context = self._certificates.load()
        self.ssl_context = None if ssl_context is None else check_context(ssl_context)
        self._sweep: Sweep
        self._socket_file: SocketFile | None = None
        spawn = _spawn_worker if spawn == "default" else spawn
        super().__init__(listener, backlog=backlog, spawn=spawn)

    @property
    def websockets(self) -> frozenset[WebSocketConnection]:
        """The WebSocket connections that are not over yet, a copy."""
        return frozenset(self._sweep.websockets) if hasattr(self, "_sweep") else frozenset()

    @property
    def http_connections(self) -> int:
        """How many connections speak HTTP now."""
        return len(self._sweep.streams) if hasattr(self, "_sweep") else 0

    def reload_certificates(self) -> None:
        """Read the files of ``certfile``, ``keyfile`` and ``certificates`` again, for connections to come.

        Raises ``OSError`` (``ssl.SSLError`` is one) for a file that is not as it should be, and goes on
        with the certificates it has; ``RuntimeError`` where there are no files. Of an ``ssl_context`` of
        your own, call ``load_cert_chain``.
        """
        if self._certificates is None:
            raise RuntimeError("the server was made without certfile: there is nothing to read again")
        self.ssl_context = check_context(self._certificates.load())
        if hasattr(self, "_reception"):
            self._reception.ssl_context = self.ssl_context

    # Start and stop

    def set_listener(self, listener: Any) -> None:
        """Take the listener (called by gevent)."""
        path = unix_path(listener)
        if path is not None:
            self.family, self.address = socket.AF_UNIX, path
        elif isinstance(listener, str) and listener.partition(":")[0] == SYSTEMD:
            super().set_listener(inherited(listener))
        else:
            super().set_listener(listener)

    @classmethod
    def get_listener(cls, address: Any, backlog: int | None = None, family: int | None = None) -> Any:
        """Return the listening socket (called by gevent)."""
        backlog = cls.backlog if backlog is None else backlog
        if family == socket.AF_UNIX:
            return bind_unix(address, backlog)
        if address[0] in ("", "::"):
            return bind_dual_stack(address, backlog)
        return super().get_listener(address, backlog, family)

    def init_socket(self) -> None:
        bound = not hasattr(self, "socket")
        super().init_socket()
        if bound and self.family == socket.AF_UNIX:
            self._socket_file = SocketFile(str(self.address))
        if self.socket.family != socket.AF_UNIX:
            # Accepted sockets inherit it: an answer must not wait for the peer's acknowledgements.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Start accepting connections; returns at once. Raises ``OSError`` if the address cannot be had."""
        self.init_socket()
        self._sweep = Sweep(FrameLoop.current())
        for limit in (
            self.options.handshake_timeout,
            self.options.head_timeout,
            self.options.keepalive_timeout,
            self.options.body_timeout,
            self.options.send_timeout,
            self.options.close_timeout,
        ):
            self._sweep.watch(limit)
        self._sweep.start()
        self._changed = Signal()
        builder = EnvironBuilder(
            self.server_host or "", self.server_port or "", secure=self.ssl_context is not None
        )
        self.build_environ: Callable[[Request], dict[str, Any]] = partial(build_environ, builder)
        self._reception = Reception(self.options, self.ssl_context, log_request)
        self._http = HTTPContext(
            environ=builder,
            application=self.application or no_application,
            options=self.options,
            on_upgrade=partial(upgrade, self),
            log_access=log_request,
        )
        super().start()
        if not monkey.is_module_patched("socket"):
            _warn_unpatched()
        logger.info("Listening on %s", _where(self.socket))

    def close(self) -> None:
        """Stop accepting connections."""
        super().close()
        if self._socket_file is not None:
            self._socket_file.remove()
            self._socket_file = None

    def stop(self, timeout: float | None = None) -> None:
        """Stop: no new connections and requests; every WebSocket is closed with 1001, behind what was sent.

        Waits up to ``timeout`` seconds (``stop_timeout`` by default) until all requests are answered and
        all services have been told ``disconnected``. What is left then is dropped, and has a second to
        notice; a callback that blocks even longer does not hold ``stop`` up. Idempotent: a call during
        another waits with it, and can shorten its time but not extend it. In the hub itself (a signal
        handler of the standard library), where nobody can wait, it returns at once.
        """
        if getcurrent() is get_hub():
            Greenlet.spawn(self.stop, timeout)
            return
        self.close()
        if hasattr(self, "_sweep"):
            self._set_end(timeout)
            if not self._wait_until_all_is_over():
                self._drop_all()
            self._sweep.stop()
        super().stop(timeout=0)
        logger.info("Stopped")

    def _set_end(self, timeout: float | None) -> None:
        """Say good-bye to all, if that is still to do, and note until when they may take leave."""
        if not self.stopping:
            self.stopping = True
            self._end = monotonic() + (self.stop_timeout if timeout is None else timeout)
            said = Signal()
            # Behind the calls of other threads: what their ``send`` has taken goes out before.
            FrameLoop.current().call_from_thread(self._say_goodbye, said)
            said.wait(LAST_MOMENT)
        elif timeout is not None:
            self._end = min(self._end, monotonic() + timeout)
            self._changed.set()

    def _say_goodbye(self, said: Signal) -> None:
        for stream in list(self._sweep.streams):
            stream.hurry()
        for connection in self.websockets:
            connection.close(WebSocketCloseReasonCode.GOING_AWAY)
        said.set()

    def _wait_until_all_is_over(self) -> bool:
        """Wait until no connection is left, but for that of the calling greenlet; tell whether it is so."""
        while self._sweep.websockets or self._others():
            left = self._end - monotonic()
            if left <= 0:
                return False
            self._changed.clear()
            self._changed.wait(max(left, 0.001))  # libuv knows no shorter times, and may wake us early
        return True

    def _others(self) -> list[Stream]:
        me = getcurrent()
        return [stream for stream in self._sweep.streams if stream.greenlet is not me]

    def _drop_all(self) -> None:
        for connection in self.websockets:
            connection.lost()
        for stream in self._others():
            kill(stream.greenlet)
        self._end = monotonic() + LAST_MOMENT
        if not self._wait_until_all_is_over():
            for stream in self._others():
                stream.detach().close()
            logger.warning("Some callbacks did not end in time")

    # Connections

    # gevent passes from one to the next of these what ``do_read`` returns: here no socket but a transport.

    def do_read(self) -> Any:
        listener: Any = self.socket
        try:
            fd, address = listener._accept()
        except BlockingIOError:
            return None
        return PlainTransport(fd), shown(address)

    def do_handle(self, transport: Any, address: RemoteAddress) -> None:
        try:
            super().do_handle(transport, address)
        except BaseException:
            transport.close()
            raise

    def do_close(self, transport: Any, address: RemoteAddress) -> None:
        """Do nothing: ``handle`` closes its connection, unless a WebSocket has taken it over."""

    def handle(self, transport: Any, address: RemoteAddress) -> None:
        """Serve a connection, in a greenlet of its own."""
        if self.stopping:
            transport.close()
            return
        stream = Stream(transport)
        self._sweep.streams.add(stream)
        try:
            peer = self._reception.take_in(stream, transport, address)
            if peer is not None:
                self._converse(stream, peer)
        finally:
            self._sweep.streams.discard(stream)
            if self.stopping:
                self._changed.set()

    def _converse(self, stream: Stream, peer: RemoteAddress) -> None:
        http = HTTPConnection(stream, self._http, peer)
        http.extra_environ.update(stream.transport.environ())
        try:
            http.run()
        finally:
            if not http.taken:
                self._reception.leave(peer)

    def websocket_opened(self, connection: WebSocketConnection, peer: RemoteAddress) -> None:
        """Take a connection into the table (called by ``upgrade``); ``peer`` is who it is counted as."""
        self._sweep.watch(connection.service.connection_timeout)
        counted = self.options.max_connections_per_address is not None
        self._sweep.websockets[connection] = peer if counted else ""
        if self.stopping:
            connection.close(WebSocketCloseReasonCode.GOING_AWAY)

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Take a connection that is over out of the table (called by the connection)."""
        peer = self._sweep.websockets.pop(connection, None)
        if peer is not None:
            self._reception.leave(peer)
        if self.stopping:
            self._changed.set()
        if not access_logger.isEnabledFor(logging.INFO):
            return
        if getcurrent() is get_hub():
            # A handler of the log may wait, which the hub cannot.
            _spawn_worker(log_websocket, connection, reason)
        else:
            log_websocket(connection, reason)


class _Visit:
    """A new connection, for a worker: most requests for an upgrade are answered without a wait."""

    def __init__(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args

    def work(self) -> None:
        FrameLoop.current().guard(self._function, *self._args)


def _spawn_worker(function: Callable[..., object], *args: Any) -> None:
    """Call ``function`` in a greenlet that served others before, or in a new one. In the hub."""
    loop = FrameLoop.current()
    loop.lend(_Visit(function, args))
    loop.flush()


def _where(listener: socket.socket) -> str:
    address = listener.getsockname()
    return f"port {address[1]}" if isinstance(address, tuple) else f"unix:{os.fsdecode(address)}"


_warned: list[bool] = []


def _warn_unpatched() -> None:
    if not _warned:
        _warned.append(True)
        logger.warning(_UNPATCHED)
