"""An application with Flask-SocketIO.

``MODE`` is its ``async_mode``, and ``QUEUE`` a Redis server. ``FRAMES`` are those of gevent-websocket or
simple-websocket, ``ours`` after ``install``, or ``ours-alone`` if neither of these packages is installed.
"""

import os
import sys

MODE, FRAMES = os.environ["MODE"], os.environ["FRAMES"]
# As if these were not installed.
if FRAMES != "gevent-websocket":
    sys.modules["geventwebsocket"] = None  # type: ignore[assignment]
if FRAMES == "ours-alone":
    sys.modules["simple_websocket"] = None  # type: ignore[assignment]
if FRAMES.startswith("ours"):
    from geventkws.compat import install

    install()

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, disconnect, emit, join_room  # noqa: E402

QUEUE = os.environ.get("QUEUE")
app = Flask(__name__)
socketio = SocketIO(app, async_mode=MODE, message_queue=QUEUE)
outside = SocketIO(async_mode=MODE, message_queue=QUEUE) if QUEUE else socketio  # as of another process


@socketio.on("connect")
def connected():
    emit("welcome", request.sid)  # type: ignore[attr-defined]


@socketio.on("disconnect")
def disconnected(reason):
    socketio.emit("left", [request.sid, reason])  # type: ignore[attr-defined]


@socketio.on("worker")
def worker():
    return os.getpid()


@socketio.on("hear")
def hear():
    outside.emit("heard", "well", to=request.sid)  # type: ignore[attr-defined]


@socketio.on("add")
def add(a, b):
    return a + b


@socketio.on("reverse")
def reverse(data):
    emit("reversed", {"data": data["data"][::-1]})


@socketio.on("backwards")
def backwards(data):
    return data[::-1]


@socketio.on("ask")
def ask(text):
    return socketio.call("question", text, to=request.sid)  # type: ignore[attr-defined]


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
