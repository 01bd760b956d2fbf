"""An application with flask-sock, which brings the frames of simple-websocket."""

from flask import Flask, session
from flask_sock import Sock

app = Flask(__name__)
app.secret_key = "secret"
app.config["SOCK_SERVER_OPTIONS"] = {"subprotocols": ["chat.example"], "max_message_size": 100}
sock = Sock(app)


@app.route("/")
def page():
    return "page"


@sock.route("/echo/<name>")
def echo(ws, name):
    assert not session
    ws.send(str(ws.subprotocol))
    while True:
        message = ws.receive()
        if message == "bye":
            return
        ws.send(message if isinstance(message, bytes) else f"{name} {message}")


@sock.route("/patient")
def patient(ws):
    """Wait for a message in vain, now and then."""
    assert ws.receive(timeout=0) is None
    assert ws.receive(timeout=0.01) is None
    ws.send("nothing")
    ws.close(4001, ws.receive())
