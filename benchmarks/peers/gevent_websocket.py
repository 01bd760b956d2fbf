"""gevent-websocket, a handler for gevent's pywsgi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

from benchmarks.peers.command_line import ADDRESS, BACKLOG, Options, parse_options

receivers: set[WebSocket] = set()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Serve a connection on either path."""
    websocket = environ["wsgi.websocket"]
    is_echo = environ["PATH_INFO"] == "/echo"
    if not is_echo:
        receivers.add(websocket)
    while (message := websocket.receive()) is not None:
        if is_echo:
            websocket.send(message, isinstance(message, (bytes, bytearray)))
            continue
        for receiver in receivers:
            receiver.send(message, isinstance(message, (bytes, bytearray)))
    receivers.discard(websocket)
    return []


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {"handler_class": WebSocketHandler, "backlog": BACKLOG, "log": None}


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    tls = {"certfile": options.certfile, "keyfile": options.keyfile} if options.certfile else {}
    WSGIServer((ADDRESS, options.port), application, **settings(options), **tls).serve_forever()


if __name__ == "__main__":
    main()
