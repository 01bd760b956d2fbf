"""picows on uvloop, with its API that resembles websockets, the only one of its two that can compress."""

from __future__ import annotations

from typing import Any

import uvloop
from picows.websockets.asyncio.server import Request, Response, ServerConnection, serve

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options

NO_CONTEXT_TAKEOVER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


async def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


def accept_the_offer(connection: ServerConnection, request: Request, response: Response) -> Response:
    """Answer as RFC 7692 requires if a client demands that no context be taken over.

    By itself, picows ignores the parameters of an offer; but it does what the response says.
    """
    if "server_no_context_takeover" in request.headers.get("Sec-WebSocket-Extensions", ""):
        response.headers["Sec-WebSocket-Extensions"] = NO_CONTEXT_TAKEOVER
    return response


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
        echo,
        ADDRESS,
        options.port,
        ssl=options.ssl_context,
        process_response=accept_the_offer if options.deflate else None,
        **settings(options),
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
