"""A Flask application and a WebSocket service, to be served by several processes: neither keeps any state."""

from __future__ import annotations

from flask import Flask

from geventkws import WebSocketConnection, WebSocketService

app = Flask(__name__)


@app.get("/")
def page() -> str:
    """Return a page."""
    return "Hello\n"


class Echo(WebSocketService):
    """Sends each message back."""

    connection_timeout = 60

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Send ``message`` back, as the type that it was received as."""
        connection.send(message)
