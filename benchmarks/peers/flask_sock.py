"""flask-sock on gunicorn's gevent worker."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock
from simple_websocket import Server

app = Flask(__name__)
sock = Sock(app)
receivers: set[Server] = set()


@sock.route("/echo")
def echo(websocket: Server) -> None:
    """Send every message back."""
    while True:
        websocket.send(websocket.receive())


@sock.route("/broadcast")
def broadcast(websocket: Server) -> None:
    """Send every message to all connections."""
    receivers.add(websocket)
    try:
        while True:
            message = websocket.receive()
            for receiver in receivers:
                receiver.send(message)
    finally:
        receivers.discard(websocket)


if __name__ == "__main__":
    # Imported here, because the worker imports this module too, by name.
    from benchmarks.peers.gunicorn import serve

    serve("benchmarks.peers.flask_sock:app")
