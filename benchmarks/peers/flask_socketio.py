"""Flask-SocketIO on gevent, with its message queue on Redis, for the channel workloads."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402
from typing import Any  # noqa: E402

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, emit, join_room  # noqa: E402

from benchmarks.peers.channels_app import CHANNEL, ELSEWHERE, own_channels  # noqa: E402
from benchmarks.peers.command_line import (  # noqa: E402
    ADDRESS,
    BACKLOG,
    MAX_MESSAGE_SIZE,
    Options,
    parse_options,
)


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of ``SocketIO``, without the address of Redis."""
    return {
        "async_mode": "gevent",
        # Otherwise, messages of one client overtake each other on their way to Redis.
        "async_handlers": False,
        "max_http_buffer_size": MAX_MESSAGE_SIZE,
        "ping_interval": options.keepalive_timeout,
    }


def join() -> None:
    """Let a connection get what is published on its channels."""
    for channel in [*own_channels(request.query_string.decode())] or [CHANNEL]:
        join_room(channel)


def publish(message: str) -> None:
    """Publish a message to all connections."""
    emit("m", message, to=CHANNEL)


def call(message: str) -> str:
    """Publish a message where nobody listens, and answer with it."""
    emit("m", message, to=ELSEWHERE)
    return message


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    app = Flask(__name__)
    socketio = SocketIO(app, message_queue=options.redis, **settings(options))
    socketio.on_event("connect", join)
    socketio.on_event("m", publish)
    socketio.on_event("call", call)
    logging.getLogger("geventwebsocket.handler").setLevel(logging.ERROR)
    socketio.run(app, ADDRESS, options.port, log_output=False, backlog=BACKLOG)


if __name__ == "__main__":
    main()
