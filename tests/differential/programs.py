"""Servers of other authors that have no command: ``python -m tests.differential.programs NAME PORT``.

Runs in the environment of the peers, which has none of our packages.
"""

from __future__ import annotations

import asyncio
import sys

from tests.differential.apps import SUBPROTOCOLS, chosen, told

HOST = "127.0.0.1"


def aiohttp(port: int) -> None:
    from aiohttp import web

    async def handler(request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Upgrade", "").lower().startswith("websocket"):
            value = told(None, request.method, await request.read())
            return web.Response(headers={"X-Read": value})
        websocket = web.WebSocketResponse(protocols=SUBPROTOCOLS)
        await websocket.prepare(request)
        async for _ in websocket:
            pass
        return websocket

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    web.run_app(application, host=HOST, port=port, access_log=None, print=None)


async def websockets(port: int) -> None:
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.typing import Subprotocol

    async def handler(connection: ServerConnection) -> None:
        async for _ in connection:
            pass

    spoken = [Subprotocol(name) for name in SUBPROTOCOLS]
    async with serve(handler, HOST, port, subprotocols=spoken) as server:
        await server.serve_forever()


async def picows(port: int) -> None:
    import picows

    def accept(request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        subprotocol = chosen(member.strip() for member in offered)
        fields = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol else None
        response = picows.WSUpgradeResponse.create_101_response(fields)
        return picows.WSUpgradeResponseWithListener(response, picows.WSListener())

    server = await picows.ws_create_server(accept, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "aiohttp":
        aiohttp(port)
    else:
        asyncio.run({"websockets": websockets, "picows": picows}[name](port))
