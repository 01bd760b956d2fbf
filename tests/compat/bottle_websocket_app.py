"""An application with bottle-websocket."""

from bottle import Bottle
from bottle_websocket import websocket

app = Bottle()


@app.route("/")
def page():
    return "page"


@app.route("/echo/<name>", apply=[websocket])
def echo(ws, name):
    while (message := ws.receive()) is not None:
        ws.send(f"{name} {message}")
