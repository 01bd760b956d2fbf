"""aiohttp on uvloop."""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.peers.command_line import ADDRESS, MAX_MESSAGE_SIZE, parse_options

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


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options()
    app = web.Application()
    app[DEFLATE] = options.deflate
    app.add_routes([web.get("/echo", echo), web.get("/broadcast", broadcast)])
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    web.run_app(
        app,
        host=ADDRESS,
        port=options.port,
        ssl_context=options.ssl_context,
        backlog=1024,
        access_log=None,
        print=None,
        loop=loop,
    )


if __name__ == "__main__":
    main()
