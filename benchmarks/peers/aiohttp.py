"""aiohttp on uvloop."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options

receivers: set[web.WebSocketResponse] = set()
DEFLATE = web.AppKey("DEFLATE", bool)


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back."""
    websocket = web.WebSocketResponse(compress=request.app[DEFLATE], max_msg_size=MAX_MESSAGE_SIZE)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


async def broadcast(request: web.Request) -> web.WebSocketResponse:
    """Send every message to all connections."""
    websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE_SIZE)
    await websocket.prepare(request)
    receivers.add(websocket)
    try:
        async for message in websocket:
            for receiver in receivers:
                await receiver.send_bytes(message.data)
    finally:
        receivers.discard(websocket)
    return websocket


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {"backlog": BACKLOG, "access_log": None, "print": None}


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    app = web.Application()
    app[DEFLATE] = options.deflate
    app.add_routes([web.get("/echo", echo), web.get("/broadcast", broadcast)])
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    web.run_app(
        app,
        host=ADDRESS,
        port=options.port,
        ssl_context=options.ssl_context,
        loop=loop,
        **settings(options),
    )


if __name__ == "__main__":
    main()
