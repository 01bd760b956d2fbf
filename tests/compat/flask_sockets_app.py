"""An application with Flask-Sockets."""

from flask import Flask, request
from flask_sockets import Sockets
from werkzeug.routing import Rule

app = Flask(__name__)
sockets = Sockets(app)


@app.route("/")
def page():
    return "page"


def echo(ws, name):
    while not ws.closed:
        message = ws.receive()
        if message is not None:
            ws.send(f"{name} {request.args['mark']} {message}")


# Its decorator makes a rule that Werkzeug 1.0 and later keep for plain HTTP requests.
sockets.url_map.add(Rule("/echo/<name>", endpoint=echo, websocket=True))


@sockets.route("/decorated")
def decorated(ws):
    ws.send("never")
