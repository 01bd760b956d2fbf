"""What ``geventkws serve`` serves in a soak while it is reloaded: all that a worker has received is noted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent

from geventkws import WebSocketConnection, WebSocketService

NOTES = "SOAK_NOTES"
"""The variable of the environment with the file of the notes."""
WORK = 0.02
"""Seconds for which a message or a request is worked on, so that a reload meets some of them."""


class Noted(WebSocketService):
    """Notes each message, and sends it back after a while."""

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        with Path(os.environ[NOTES]).open("a") as notes:
            notes.write(f"{message}\n")
        gevent.sleep(WORK)
        connection.send(message)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the path and the number of this process, after a while."""
    gevent.sleep(WORK)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['PATH_INFO']} {os.getpid()}".encode()]
