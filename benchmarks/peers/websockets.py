"""websockets on uvloop."""

from __future__ import annotations

from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options

receivers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """Serve a connection on either path."""
    assert connection.request is not None
    if connection.request.path == "/echo":
        async for message in connection:
            await connection.send(message)
        return
    receivers.add(connection)
    try:
        async for message in connection:
            broadcast(receivers, message)
    finally:
        receivers.discard(connection)


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {
        "compression": "deflate" if options.deflate else None,
        "max_size": MAX_MESSAGE_SIZE,
        "backlog": BACKLOG,
    }


async def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    async with serve(
        handle,
        ADDRESS,
        options.port,
        ssl=options.ssl_context,
        **settings(options),
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
