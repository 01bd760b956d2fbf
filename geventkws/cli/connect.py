"""``geventkws connect``: a WebSocket client for the terminal, and for pipes."""

from __future__ import annotations

import codecs
import os
import select
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import click

from geventkws.cli import colours
from geventkws.cli.errors import ADDRESS, CERTIFICATE, USAGE, Failure, import_extra
from geventkws.escape import escape
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.opcodes import CLOSE, TEXT

CLOSE_TIMEOUT = 5.0
"""Seconds that the server has to answer our close frame."""

CLOSED_OTHERWISE = 1
"""The exit status if the server closed with another code, or the connection was lost."""

GOOD_ENDS = (
    WebSocketCloseReasonCode.NORMAL,
    WebSocketCloseReasonCode.GOING_AWAY,
    WebSocketCloseReasonCode.NO_REASON_CODE_SENT,
)

MOST_BYTES = 64
"""The most bytes that are shown of a binary message, or of the body of a refusal."""

READ_SIZE = 64 * 1024


@dataclass(frozen=True)
class Target:
    """What to connect to, and how."""

    url: str
    headers: tuple[str, ...] = ()
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    cacert: str | None = None
    insecure: bool = False
    timeout: float = 10.0
    """How many seconds to wait for the connection."""


def connect(target: Target, wait: float | None) -> int:
    """Send each line of stdin as a message and print what arrives; return the exit status.

    After the last line of a pipe, wait for answers for ``wait`` seconds (``None``: until the server closes);
    at a terminal, close the connection.
    """
    with _open(target) as conversation:
        if sys.stdin.isatty():
            _say("Connected. Each line is a message, Ctrl-D ends.", fg="cyan")
            wait = 0
        with suppress(KeyboardInterrupt):
            conversation.send_lines()
            conversation.over.wait(wait)
        status = conversation.end()
    conversation.say_how_it_ended()
    return status


class Conversation:
    """A connection: this thread sends, another one prints what arrives. A context manager."""

    def __init__(self, socket: Any, errors: type[Exception]) -> None:
        self.over = Event()
        """Set when the server has closed, or the connection is lost."""
        self._socket = socket
        self._errors = errors
        self._code = WebSocketCloseReasonCode.CLOSED_ABNORMALLY.value
        self._description = "the connection was lost"
        self._awake, self._wake = os.pipe()
        self._receiver = Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def send_lines(self) -> None:
        """Send the lines of stdin, until it or the connection ends."""
        for line in _lines(self._chunks()):
            try:
                self._socket.send(line)
            except (OSError, ValueError, self._errors):
                return

    def end(self) -> int:
        """Close, if that has not been done, and return an exit status."""
        if self.over.is_set():
            return 0 if self._code in GOOD_ENDS else CLOSED_OTHERWISE
        with suppress(OSError, self._errors):
            self._socket.send_close()
        self.over.wait(CLOSE_TIMEOUT)
        return 0 if self.over.is_set() else CLOSED_OTHERWISE

    def say_how_it_ended(self) -> None:
        """Print the close code, after everything that arrived."""
        description = f", {escape(self._description)}" if self._description else ""
        _say(f"Closed: {self._code}{_name(self._code)}{description}", fg="cyan")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown()
        self._receiver.join(CLOSE_TIMEOUT)
        os.close(self._awake)

    def _receive(self) -> None:
        try:
            while True:
                opcode, frame = self._socket.recv_data_frame()
                if opcode == CLOSE:
                    self._note_close(frame.data)
                    return
                _show(opcode, frame.data)
        except (OSError, ValueError, self._errors):
            return
        finally:
            self.over.set()
            os.close(self._wake)

    def _note_close(self, payload: bytes) -> None:
        none = WebSocketCloseReasonCode.NO_REASON_CODE_SENT
        self._code = int.from_bytes(payload[:2], "big") if payload else none
        self._description = payload[2:].decode("utf-8", "replace")

    def _chunks(self) -> Iterator[bytes]:
        """Yield what is read from stdin, until it or the connection ends."""
        stdin = sys.stdin.fileno()
        while True:
            ready, _, _ = select.select([stdin, self._awake], [], [])
            if self._awake in ready:
                return
            chunk = os.read(stdin, READ_SIZE)
            if not chunk:
                return
            yield chunk


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield the lines in ``chunks`` without their line ends; the last one need not have one."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
    try:
        for chunk in chunks:
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from (line.removesuffix("\r") for line in lines)
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Failure(USAGE, f"stdin is not UTF-8 text: {error}") from None
    if rest:
        yield rest


def _open(target: Target) -> Conversation:
    websocket = import_extra("websocket", "websocket-client", "connect")
    url = target.url
    try:
        return Conversation(_connected(websocket, target), websocket.WebSocketException)
    except websocket.WebSocketBadStatusException as error:
        raise Failure(ADDRESS, f"{url} refused the connection: {_refusal(error)}") from None
    except ssl.SSLError as error:
        text = f"{url}: {error.reason or error}; --cacert sets whom to trust, --insecure trusts everybody"
        raise Failure(CERTIFICATE, text) from None
    except (OSError, websocket.WebSocketException) as error:
        raise Failure(ADDRESS, f"cannot connect to {url}: {error}") from None
    except ValueError as error:
        text = f"{url!r} is not a WebSocket URL such as ws://127.0.0.1:8000/chat: {error}"
        raise Failure(USAGE, text) from None


def _connected(websocket: Any, target: Target) -> Any:
    socket = websocket.WebSocket(sslopt=_tls(target), enable_multithread=True)
    # websocket-client answers a close frame with one of its own even if it has already sent one.
    socket.send_close = _once(socket.send_close)
    socket.settimeout(target.timeout)
    socket.connect(
        target.url,
        header=list(target.headers),
        subprotocols=list(target.subprotocols) or None,
        origin=target.origin,
        redirect_limit=0,
    )
    socket.settimeout(None)
    return socket


def _once(function: Callable[[], object]) -> Callable[[], None]:
    calls = iter([function])

    def call() -> None:
        for each in calls:
            each()

    return call


def _tls(target: Target) -> dict[str, Any]:
    if target.insecure:
        return {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    return {"ca_certs": target.cacert} if target.cacert else {}


def _refusal(error: Any) -> str:
    reason = (error.resp_body or b"")[:MOST_BYTES].decode("utf-8", "replace").strip()
    phrase = responses.get(error.status_code, "")
    return escape(f"{error.status_code} {phrase}" + (f", {reason}" if reason else ""))


def _show(opcode: int, data: bytes) -> None:
    """Print a message; on a terminal, text is printed without characters that could control it."""
    if opcode != TEXT:
        more = "…" if len(data) > MOST_BYTES else ""
        click.echo(f"<{len(data)} bytes: {data[:MOST_BYTES].hex(' ')}{more}>")
        return
    text = data.decode("utf-8", "replace")
    if sys.stdout.isatty():
        text = "".join(each if each.isprintable() or each in "\n\t" else escape(each) for each in text)
    click.echo(text)


def _name(code: int) -> str:
    try:
        return f" {WebSocketCloseReasonCode(code).name}"
    except ValueError:
        return ""


def _say(text: str, **style: Any) -> None:
    click.echo(colours.styled(text, sys.stderr, **style), err=True)
