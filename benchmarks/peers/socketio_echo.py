"""Flask-SocketIO in its gevent mode, on gevent-websocket's server."""

from __future__ import annotations

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import logging
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from benchmarks.peers.command_line import ADDRESS, BACKLOG, Options, parse_options

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent", cors_allowed_origins="*")


def call(message: str) -> str:
    """Answer an event with what it brings."""
    return message


socketio.on_event("call", call)


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server."""
    return {"backlog": BACKLOG}


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    logging.getLogger("geventwebsocket.handler").setLevel(logging.ERROR)
    socketio.run(app, ADDRESS, options.port, **settings(options))


if __name__ == "__main__":
    main()
