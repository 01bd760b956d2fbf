"""A terminal client for the chat: ``python examples/chat/client.py localhost:8080 [room]``.

It waits for the keyboard and the server at the same time with ``select``, in one thread and without gevent.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import ssl
import sys
from collections.abc import Iterator
from urllib.parse import quote

import websocket
from websocket import ABNF

PROMPT = "> "
INDENT = "   "
TIMEOUT = 10.0
"""Seconds to connect, to send, to finish receiving a message, and for the server to answer our close."""
TURN = 0.5
"""Seconds of one wait: a Ctrl-C that arrives just before a wait does not interrupt it."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MEANING = {
    1000: "normal closure",
    1001: "the server is going away",
    1005: "no reason was given",
    1006: "the connection was lost",
    1009: "the message was too large",
    1011: "the server failed",
}


def main() -> None:
    """Chat until the input ends, Ctrl-C is pressed or the server closes."""
    parser = argparse.ArgumentParser(description="A terminal client for the chat example.")
    parser.add_argument("server", nargs="?", default="localhost:8080", help="host:port, or a ws: or wss: URL")
    parser.add_argument("room", nargs="?", default="lobby", help="the room to enter (default: lobby)")
    arguments = parser.parse_args()
    server = arguments.server
    url = server if "://" in server else f"ws://{server}/chat/{quote(arguments.room, safe='')}"
    try:
        connection = websocket.create_connection(url, timeout=TIMEOUT, subprotocols=["chat"])
    except (OSError, ValueError, websocket.WebSocketException) as error:
        sys.exit(f"{url}: {error}")
    code, reason = converse(connection)
    reason = printable(reason) or MEANING.get(code, "no reason was given")
    show(f"\rchat Connection Closed. Code={code} ({reason})\n")


def converse(connection: websocket.WebSocket) -> tuple[int, str]:
    """Pass lines in both directions until one side closes; return the close code and reason."""
    try:
        show(PROMPT)
        for opcode, data in events(connection):
            if opcode is None:
                connection.send_text(data.decode(errors="replace"))
                show(PROMPT)
            elif opcode == ABNF.OPCODE_TEXT:
                show(f"\r=> {printable(data.decode())}\n{PROMPT}")
            elif opcode == ABNF.OPCODE_CLOSE:
                return close_of(data)
    except KeyboardInterrupt:
        pass
    except (OSError, websocket.WebSocketException):
        return close_of(None)
    connection.close(timeout=TIMEOUT)
    answer = connection.close_frame
    return close_of(None if answer is None else answer.data)


def events(connection: websocket.WebSocket) -> Iterator[tuple[int | None, bytes]]:
    """Yield frames as (opcode, payload), and typed lines as (None, line), until the input ends."""
    sock = connection.sock
    if sock is None:
        return
    server, keyboard = sock.fileno(), sys.stdin.fileno()
    typed = b""
    while True:
        deciphered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0  # which does not wake select
        ready, _, _ = select.select([server, keyboard], [], [], 0 if deciphered else TURN)
        if deciphered or server in ready:
            yield connection.recv_data(control_frame=True)
        if keyboard in ready:
            chunk = os.read(keyboard, 64 * 1024)
            *lines, typed = (typed + chunk).split(b"\n")
            yield from ((None, line) for line in lines)
            if not chunk:
                return


def close_of(payload: str | bytes | None) -> tuple[int, str]:
    """Return the code and reason in a close frame; 1005 if it is empty, 1006 for none (RFC 6455, 7.1.5)."""
    if not isinstance(payload, bytes):
        return 1006, ""
    if len(payload) < 2:
        return 1005, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")


def printable(text: str) -> str:
    """Escape control characters and indent further lines: no text may garble the terminal or fake others."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text).replace("\n", f"\n{INDENT}")


def show(text: str) -> None:
    """Write to the terminal at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
