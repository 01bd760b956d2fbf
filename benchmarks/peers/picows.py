"""picows on uvloop, with its core API: listeners, and no coroutine for each message."""

from __future__ import annotations

from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options

receivers: set[WSTransport] = set()


class Echo(WSListener):  # type: ignore[misc]
    """Sends every message back."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcast(WSListener):  # type: ignore[misc]
    """Sends every message to all connections."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        receivers.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        receivers.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        for receiver in receivers:
            receiver.send(frame.msg_type, payload)


def listener(request: WSUpgradeRequest) -> WSListener | None:
    """Return the listener for the path of a request."""
    return {b"/echo": Echo, b"/broadcast": Broadcast}[request.path]()


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {"max_frame_size": MAX_MESSAGE_SIZE, "backlog": BACKLOG}


async def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    server = await ws_create_server(
        listener,
        ADDRESS,
        options.port,
        ssl=options.ssl_context,
        **settings(options),
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
