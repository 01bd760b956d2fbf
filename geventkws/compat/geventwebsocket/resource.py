"""``WebSocketApplication`` and ``Resource``, which chooses one by the path: ``geventwebsocket.resource``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from geventkws.server.wsgi_websocket import WEBSOCKET, WebSocketError, WSGIWebSocket

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Protocol:
    """What a ``WebSocketApplication`` speaks, and what calls its methods; subclass it for one of your own."""

    PROTOCOL_NAME = ""
    """The subprotocol, empty for none."""

    def __init__(self, app: WebSocketApplication) -> None:
        self.app = app

    def on_open(self) -> None:
        """Handle the beginning of a connection."""
        self.app.on_open()

    def on_message(self, message: Any) -> None:
        """Handle a message; ``None`` says that the connection has ended."""
        self.app.on_message(message)

    def on_close(self, reason: Any = None) -> None:
        """Handle the end of a connection."""
        self.app.on_close(reason)

    @property
    def handler(self) -> Any:
        """The ``handler`` of the WebSocket."""
        return self.app.ws.handler

    @property
    def server(self) -> Any:
        """The server, with its ``clients``."""
        return self.handler.server


class WebSocketApplication:
    """Handles a connection by ``on_open``, ``on_message`` and ``on_close``; ``self.ws`` is the WebSocket."""

    protocol_class: type[Protocol] = Protocol

    def __init__(self, ws: WSGIWebSocket) -> None:
        self.protocol = self.protocol_class(self)
        self.ws = ws

    @classmethod
    def protocol_name(cls) -> str:
        """Return the subprotocol that the application speaks, empty for none."""
        return cls.protocol_class.PROTOCOL_NAME

    def handle(self) -> None:
        """Call the methods until the connection has ended."""
        self.protocol.on_open()
        while True:
            try:
                message = self.ws.receive()
            except WebSocketError:
                self.protocol.on_close()
                return
            self.protocol.on_message(message)

    def on_open(self, *args: Any, **kwargs: Any) -> None:
        """Handle the beginning of the connection."""

    def on_message(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Handle a message, by default by sending it back; ``None`` says that the connection has ended."""
        if message is not None:
            self.ws.send(message, **kwargs)

    def on_close(self, *args: Any, **kwargs: Any) -> None:
        """Handle the end of the connection."""


class Resource:
    """A WSGI application that chooses another by the path of the request.

    ``apps`` are pairs, or a mapping, of regular expressions, which must match the beginning of the path, and
    applications: subclasses of ``WebSocketApplication`` for WebSockets, WSGI applications for other requests.
    """

    def __init__(self, apps: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self.apps: list[tuple[str, Any]] = list(apps.items() if isinstance(apps, Mapping) else apps)

    def app_protocol(self, path: str) -> str:
        """Return the subprotocol of the ``WebSocketApplication`` for this path, empty for none."""
        application = self._find(path, is_websocket=True)
        return str(application.protocol_name()) if application is not None else ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        websocket = environ.get(WEBSOCKET)
        application = self._find(environ["PATH_INFO"], is_websocket=websocket is not None)
        if application is None:
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"There is no application for this path"]
        if websocket is None:
            answer: Iterable[bytes] = application(environ, start_response)
            return answer
        application(websocket).handle()
        return []

    def _find(self, path: str, *, is_websocket: bool) -> Any:
        for pattern, application in self.apps:
            if re.match(pattern, path) and is_websocket == self._is_websocket_app(application):
                return application
        return None

    def _is_websocket_app(self, app: object) -> bool:
        return isinstance(app, type) and issubclass(app, WebSocketApplication)
