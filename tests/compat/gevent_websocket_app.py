"""An application of gevent-websocket, as its users write them: a chat of its own classes, and plain HTTP."""

from geventwebsocket import Resource, WebSocketApplication, WebSocketError


class Chat(WebSocketApplication):
    def on_open(self):
        self.ws.send("welcome")

    def on_message(self, message):
        if message is None:
            return
        for client in self.ws.handler.server.clients.values():
            client.ws.send(message)

    def on_close(self, reason=None):
        for client in list(self.ws.handler.server.clients.values()):
            if client.ws is not self.ws:
                client.ws.send("somebody has left")


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


def echo(environ, start_response):
    """Take the WebSocket from the environ, without any of the classes."""
    ws = environ["wsgi.websocket"]
    while True:
        try:
            message = ws.receive()
            if message is None:
                break
            ws.send(message)
        except WebSocketError:
            break
    return []


resource = Resource([("/chat", Chat), ("/", page)])


def app(environ, start_response):
    return (echo if environ["PATH_INFO"] == "/echo" else resource)(environ, start_response)
