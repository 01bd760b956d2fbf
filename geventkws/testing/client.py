"""A WebSocket client for tests: websocket-client on a gevent socket, with a time limit on every wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

try:
    import websocket
except ModuleNotFoundError as error:
    text = "geventkws.testing needs websocket-client: pip install 'geventkws[testing]'"
    raise ModuleNotFoundError(text, name=error.name) from None
from websocket import ABNF

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.closed import ConnectionClosed, until_closed

PATIENCE = 5.0
"""The most seconds that a client waits for anything, by default."""

_REDIRECTS = range(300, 400)


class ConnectionRefused(Exception):
    """The opening handshake was not answered with 101.

    ``status`` is the status of the response, ``headers`` its header fields, with names in lower case, and
    ``body`` its body, as far as it has arrived.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        super().__init__(f"the connection was refused with status {status}: {body[:200]!r}")
        self.status = status
        self.headers = dict(headers)
        self.body = body


class Client:
    """A client whose opening handshake is complete. As a context manager, it is closed at the end."""

    def __init__(
        self,
        sock: Any,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
        subprotocols: Iterable[str] = (),
        timeout: float = PATIENCE,
    ) -> None:
        """Open a WebSocket on ``sock``, a connected gevent socket.

        ``timeout`` is how long any wait may take, in seconds. Raises ``ConnectionRefused``.
        """
        sock.settimeout(timeout)
        self.timeout = timeout
        self._sent = 0
        # Without its locks, which would block the hub if the standard library is not patched.
        connection: Any = websocket.WebSocket(enable_multithread=False)  # half of its methods have no types
        self._websocket = connection
        try:
            self._websocket.connect(
                url,
                socket=sock,
                timeout=timeout,
                header=[f"{name}: {value}" for name, value in (headers or {}).items()],
                origin=origin,
                suppress_origin=origin is None,
                subprotocols=list(subprotocols) or None,
                redirect_limit=0,
            )
        except websocket.WebSocketBadStatusException as error:
            body = error.resp_body or b""
            raise ConnectionRefused(error.status_code, error.resp_headers or {}, bytes(body)) from None
        except websocket.WebSocketException:
            answer = self._websocket.handshake_response
            if answer is None or answer.status not in _REDIRECTS:
                raise
            raise ConnectionRefused(answer.status, answer.headers) from None

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, or None."""
        subprotocol: str | None = self._websocket.getsubprotocol()
        return subprotocol

    def send(self, message: str | bytes) -> None:
        """Send a ``str`` as a text message, ``bytes`` as a binary one."""
        opcode = ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY
        self._websocket.send(message, opcode)
        self._sent += 1

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: ``str`` for text, ``bytes`` for binary.

        Raises ``TimeoutError`` after ``timeout`` seconds, by default the client's own time limit, and
        ``ConnectionClosed`` with the server's close code once the connection has ended.
        """
        seconds = self.timeout if timeout is None else timeout
        self._websocket.settimeout(seconds)
        while True:
            try:
                opcode, frame = self._websocket.recv_data_frame(control_frame=True)
            except websocket.WebSocketTimeoutException:
                raise TimeoutError(f"no message within {seconds} s") from None
            except (OSError, websocket.WebSocketConnectionClosedException):
                self.shutdown()
                raise ConnectionClosed(WebSocketCloseReasonCode.CLOSED_ABNORMALLY) from None
            if opcode == ABNF.OPCODE_TEXT:
                return str(frame.data, "utf-8")
            if opcode == ABNF.OPCODE_BINARY:
                return bytes(frame.data)
            if opcode == ABNF.OPCODE_CLOSE:
                self.shutdown()
                raise _closed(frame.data)

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield the messages as ``receive`` returns them, until the connection ends."""
        return until_closed(self.receive)

    def close(self, reason: int = WebSocketCloseReasonCode.NORMAL, description: str = "") -> None:
        """Close with this code, and wait for the server's close frame. Idempotent."""
        self._websocket.close(reason, description, timeout=self.timeout)

    def shutdown(self) -> None:
        """Close the socket without a close frame, like a client that has vanished. Idempotent."""
        self._websocket.connected = False
        self._websocket.shutdown()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _closed(payload: bytes) -> ConnectionClosed:
    if len(payload) < 2:
        return ConnectionClosed(WebSocketCloseReasonCode.NO_REASON_CODE_SENT)
    code = WebSocketCloseReasonCode(int.from_bytes(payload[:2], "big"))
    return ConnectionClosed(code, str(payload[2:], "utf-8", "replace"))
