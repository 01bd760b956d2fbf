"""An application with Flask-SocketIO: ``MODE`` is its ``async_mode``, and ``QUEUE`` a Redis server."""

import os
import sys

MODE, FRAMES = os.environ["MODE"], os.environ["FRAMES"]
if FRAMES != "gevent-websocket":
    sys.modules["geventwebsocket"] = None  # type: ignore[assignment]  # as if it were not installed
if FRAMES == "ours":
    from geventkws.compat import install

    install()

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, disconnect, emit, join_room  # noqa: E402
from socketio import RedisManager  # noqa: E402

app = Flask(__name__)
manager = RedisManager(os.environ["QUEUE"]) if "QUEUE" in os.environ else None
socketio = SocketIO(app, async_mode=MODE, client_manager=manager)


@socketio.on("connect")
def connected():
    emit("welcome", request.sid)  # type: ignore[attr-defined]


@socketio.on("disconnect")
def disconnected():
    socketio.emit("left", request.sid)  # type: ignore[attr-defined]


@socketio.on("add")
def add(a, b):
    return a + b


@socketio.on("reverse")
def reverse(data):
    emit("reversed", {"data": data["data"][::-1]})


@socketio.on("join")
def join(room):
    join_room(room)
    return "joined"


@socketio.on("tell")
def tell(room, text):
    emit("told", text, to=room)


@socketio.on("go")
def go():
    disconnect()


@socketio.on("echo", namespace="/other")
def echo(text):
    return f"other {text}"
