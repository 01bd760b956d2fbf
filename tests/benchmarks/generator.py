"""For the tests: the load generator as a program, and servers that answer it wrongly."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from tests.waiting import PATIENCE


def run(load: Path, *arguments: str) -> dict[str, Any]:
    """Run the load generator and return its report."""
    done = subprocess.run(
        [load, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["errors"]
    return report


def accepted(*headers: str) -> bytes:
    """Return the head that accepts the load generator's upgrade."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def run_against(
    load: Path, answer: Callable[[bytes], bytes], *arguments: str, head: bytes = accepted()
) -> dict[str, Any]:
    """Return the report on a server that answers the upgrade with ``head``, and the first frame as given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = Thread(target=_serve_once, args=(listener, head, answer))
        thread.start()
        port = listener.getsockname()[1]
        report = run(
            load, "echo", f"--port={port}", "--connections=1", "--seconds=0.2", "--warmup=0", *arguments
        )
        thread.join(PATIENCE)
    return report


def _serve_once(listener: socket.socket, head: bytes, answer: Callable[[bytes], bytes]) -> None:
    connection = listener.accept()[0]
    # The load generator may end before it has read everything.
    with connection, suppress(ConnectionError):
        connection.settimeout(PATIENCE)
        connection.recv(4096)
        connection.sendall(head)
        if frame := connection.recv(4096):
            connection.sendall(answer(frame))
            connection.recv(4096)
