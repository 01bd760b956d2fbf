"""Python's WebSocket clients, each behind the same few methods.

The tests' process is patched for gevent; these run in a process of their own (``python_checks``).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

import aiohttp
import websocket
import websockets
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

from tests.waiting import PATIENCE

Result = TypeVar("Result")


class Refused(Exception):
    """The server answered the handshake with a status other than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Closed(Exception):
    """The connection is closed: code (1006 if the server sent none) and reason."""

    def __init__(self, code: int | None, reason: str | None) -> None:
        super().__init__(code, reason)
        self.code = code or 1006
        self.reason = reason or ""


class Peer(Protocol):
    """A client's connection."""

    subprotocol: str | None
    extensions: str

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        """Connect. Raises ``Refused``."""

    def send(self, message: str | bytes) -> None:
        """Send a message."""

    def receive(self) -> str | bytes:
        """Return the next message. Raises ``Closed``."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close and wait for the server's answer."""


@runtime_checkable
class Pinging(Protocol):
    """A client that pings by itself."""

    def latency(self) -> float:
        """Return the seconds between its last ping and the pong; 0 until there was one."""


class WebSocketClient:
    """websocket-client."""

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        try:
            self._connection = websocket.create_connection(
                url, timeout=PATIENCE, subprotocols=list(subprotocols) or None
            )
        except websocket.WebSocketBadStatusException as error:
            raise Refused(error.status_code) from error
        self.subprotocol: str | None = self._connection.subprotocol
        self.extensions = (self._connection.getheaders() or {}).get("sec-websocket-extensions", "")

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._connection.send(message)
        else:
            self._connection.send_binary(message)

    def receive(self) -> str | bytes:
        try:
            opcode, data = self._connection.recv_data()
        except (websocket.WebSocketConnectionClosedException, ConnectionError) as error:
            raise Closed(1006, "") from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], "big") if data else 1005
            raise Closed(code, bytes(data[2:]).decode())
        return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else bytes(data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.close(code, reason.encode(), timeout=PATIENCE)


HANDSHAKES = 3


def connect_sync_at_last(url: str, **options: Any) -> ClientConnection:
    """Connect, with more than one try.

    Its two threads share a TLS socket, which harms one handshake in about a thousand, with any server: with
    websockets' own, 2 of 1,000 failed or were never answered.
    """
    connect: Callable[..., ClientConnection] = connect_sync
    for _ in range(HANDSHAKES - 1):
        with suppress(websockets.InvalidMessage, TimeoutError):
            return connect(url, **options)
    return connect(url, **options)


class WebSocketsSync:
    """websockets with threads, which pings by itself."""

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        try:
            self._connection = connect_sync_at_last(
                url,
                open_timeout=PATIENCE / HANDSHAKES,
                ping_interval=0.5,
                ping_timeout=PATIENCE,
                subprotocols=[websockets.Subprotocol(name) for name in subprotocols] or None,
                compression="deflate" if compression else None,
            )
        except websockets.InvalidStatus as error:
            raise Refused(error.response.status_code) from error
        self.subprotocol: str | None = self._connection.subprotocol
        assert self._connection.response is not None
        self.extensions = self._connection.response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def receive(self) -> str | bytes:
        try:
            return self._connection.recv(PATIENCE)
        except websockets.ConnectionClosed as error:
            raise Closed(self._connection.close_code, self._connection.close_reason) from error

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.close(code, reason)

    def latency(self) -> float:
        return self._connection.latency


class EventLoop:
    """An asyncio loop in a thread of its own, for clients that ping while nobody waits for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)


LOOP = EventLoop()


class WebSocketsAsyncio:
    """websockets with asyncio, which pings by itself."""

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        async def connect() -> websockets.ClientConnection:
            return await websockets.connect(
                url,
                ping_interval=0.5,
                ping_timeout=PATIENCE,
                subprotocols=[websockets.Subprotocol(name) for name in subprotocols] or None,
                compression="deflate" if compression else None,
            )

        try:
            self._connection = LOOP.run(connect())
        except websockets.InvalidStatus as error:
            raise Refused(error.response.status_code) from error
        self.subprotocol: str | None = self._connection.subprotocol
        assert self._connection.response is not None
        self.extensions = self._connection.response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, message: str | bytes) -> None:
        LOOP.run(self._connection.send(message))

    def receive(self) -> str | bytes:
        try:
            return LOOP.run(self._connection.recv())
        except websockets.ConnectionClosed as error:
            raise Closed(self._connection.close_code, self._connection.close_reason) from error

    def close(self, code: int = 1000, reason: str = "") -> None:
        LOOP.run(self._connection.close(code, reason))

    def latency(self) -> float:
        return self._connection.latency


class AioHTTP:
    """aiohttp."""

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        async def connect() -> Any:
            self._session = aiohttp.ClientSession()
            return await self._session.ws_connect(
                url, protocols=subprotocols, compress=15 if compression else 0
            )

        try:
            self._connection = LOOP.run(connect())
        except aiohttp.WSServerHandshakeError as error:
            raise Refused(error.status) from error
        self.subprotocol: str | None = self._connection.protocol
        self.extensions = "permessage-deflate" if self._connection.compress else ""

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            LOOP.run(self._connection.send_str(message))
        else:
            LOOP.run(self._connection.send_bytes(message))

    def receive(self) -> str | bytes:
        message = LOOP.run(self._connection.receive())
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.CLOSE:  # our answer to it may find the socket closed
            raise Closed(message.data, message.extra)
        raise Closed(self._connection.close_code, "")

    def close(self, code: int = 1000, reason: str = "") -> None:
        LOOP.run(self._connection.close(code=code, message=reason.encode()))


class WSProto:
    """wsproto, which knows no sockets: bytes in, events out."""

    def __init__(self, url: str, subprotocols: Sequence[str] = (), compression: bool = False) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        if parts.scheme == "wss":
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        extensions = [PerMessageDeflate()] if compression else []
        self._send(
            Request(
                host=parts.netloc, target=parts.path, subprotocols=list(subprotocols), extensions=extensions
            )
        )
        self.subprotocol, self.extensions = self._accepted()

    def _send(self, event: Any) -> None:
        self._socket.sendall(self._connection.send(event))

    def _event(self) -> Any:
        while not self._events:
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            try:
                self._connection.receive_data(data or None)
            except RemoteProtocolError as error:
                raise Closed(1006, str(error)) from error
            self._events.extend(self._connection.events())
        return self._events.pop(0)

    def _accepted(self) -> tuple[str | None, str]:
        event = self._event()
        if isinstance(event, RejectConnection):
            self._socket.close()
            raise Refused(event.status_code)
        assert isinstance(event, AcceptConnection), event
        return event.subprotocol, ", ".join(extension.name for extension in event.extensions)

    def send(self, message: str | bytes) -> None:
        self._send(TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message))

    def receive(self) -> str | bytes:
        pieces: list[Any] = []
        while True:
            event = self._event()
            if isinstance(event, Message):
                pieces.append(event.data)
                if event.message_finished:
                    return b"".join(pieces) if isinstance(event, BytesMessage) else "".join(pieces)
            elif isinstance(event, Ping):
                self._send(event.response())
            elif isinstance(event, CloseConnection):
                self._answer(event)
                raise Closed(event.code, event.reason)

    def _answer(self, event: CloseConnection) -> None:
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            self._send(event.response())
        self._socket.close()

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._send(CloseConnection(code=code, reason=reason))
        while not isinstance(self._event(), CloseConnection):
            pass
        self._socket.close()


PEERS: dict[str, type[Peer]] = {
    "websocket-client": WebSocketClient,
    "websockets-sync": WebSocketsSync,
    "websockets-asyncio": WebSocketsAsyncio,
    "aiohttp": AioHTTP,
    "wsproto": WSProto,
}
"""The clients by name."""
