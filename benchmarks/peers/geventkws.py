"""geventkws, with services in the push style and the WSGI application beside them."""

from __future__ import annotations

import logging
from typing import Any

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options
from geventkws import (
    PerMessageDeflate,
    ServiceRegistry,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    broadcast,
)

DEFLATE_MODES: dict[str, bool | PerMessageDeflate] = {
    "off": False,
    "default": True,
    "client-context": PerMessageDeflate(client_no_context_takeover=False),
    "client-context-12": PerMessageDeflate(client_no_context_takeover=False, client_max_window_bits=12),
    "server-context": PerMessageDeflate(server_no_context_takeover=False),
    "server-context-12": PerMessageDeflate(server_no_context_takeover=False, server_max_window_bits=12),
    "server-context-9": PerMessageDeflate(server_no_context_takeover=False, server_max_window_bits=9),
    "both-contexts": PerMessageDeflate(client_no_context_takeover=False, server_no_context_takeover=False),
}
"""Compression settings, each on a path with this name, for ``deflate_memory``."""


class Echo(WebSocketService):
    """Sends every message back."""

    max_message_size = MAX_MESSAGE_SIZE

    def __init__(self, compression: bool | PerMessageDeflate) -> None:
        self.compression = compression

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        connection.send(message)


class Broadcast(WebSocketService):
    """Sends every message to all connections."""

    def __init__(self) -> None:
        self.connections: set[WebSocketConnection] = set()

    def connected(self, connection: WebSocketConnection) -> None:
        self.connections.add(connection)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        self.connections.discard(connection)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        broadcast(self.connections, message)


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {
        "backlog": BACKLOG,
        "head_timeout": options.head_timeout,
        "keepalive_timeout": options.keepalive_timeout,
        "max_requests": None,
    }


def main() -> None:
    """Serve until the process is ended."""
    logging.getLogger("geventkws.server").setLevel(
        logging.ERROR
    )  # about sockets that nothing here uses unpatched
    options = parse_options(settings)
    services = ServiceRegistry()
    services.register(Echo(options.deflate), on_path="echo")
    for name, compression in DEFLATE_MODES.items() if options.deflate else ():
        services.register(Echo(compression), on_path=name)
    services.register(Broadcast(), on_path="broadcast")
    listener = (ADDRESS, options.port)
    WebSocketServer(
        listener,
        options.load_application(),
        services,
        ssl_context=options.ssl_context,
        **settings(options),
    ).serve_forever()


if __name__ == "__main__":
    main()
