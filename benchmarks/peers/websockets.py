"""websockets on uvloop."""

from __future__ import annotations

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.command_line import ADDRESS, MAX_MESSAGE_SIZE, parse_options

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


async def main() -> None:
    """Serve until the process is ended."""
    options = parse_options()
    async with serve(
        handle,
        ADDRESS,
        options.port,
        ssl=options.ssl_context,
        compression="deflate" if options.deflate else None,
        max_size=MAX_MESSAGE_SIZE,
        backlog=1024,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
