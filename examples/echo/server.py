"""An echo service: sends back what arrives at ws://localhost:8080/echo, text as text and binary as binary.

Run it with ``python examples/echo/server.py`` and point any WebSocket client at it.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

from geventkws import WebSocket, WebSocketConnection, WebSocketServer, WebSocketService

PAGE = b"An echo service: open a WebSocket to /echo on this port.\n"


class EchoService(WebSocketService):
    """Sends each message back to its sender."""

    connection_timeout = 60
    compression = True

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Send ``message`` back, as the type that it was received as."""
        connection.send(message)


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer plain HTTP requests with one line of text."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(PAGE)))])
    return [PAGE]


def main() -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, which ``serve_forever`` handles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--host", default="", help="the address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--max-message-size",
        type=int,
        default=EchoService.max_message_size,
        metavar="BYTES",
        help="the largest message to accept (default: %(default)s)",
    )
    parser.add_argument("--certfile", metavar="FILE", help="a certificate in PEM form, for wss and https")
    parser.add_argument("--keyfile", metavar="FILE", help="the certificate's key, if not in the same file")
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    service = EchoService()
    service.max_message_size = arguments.max_message_size
    WebSocket.register(service, on_path="/echo")
    try:
        server = WebSocketServer(
            (arguments.host, arguments.port), page, certfile=arguments.certfile, keyfile=arguments.keyfile
        )
        server.start()
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    server.serve_forever()


if __name__ == "__main__":
    main()
