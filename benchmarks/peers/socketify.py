"""socketify: the C++ server uWebSockets, called from Python."""

from __future__ import annotations

from typing import Any

from socketify import App, AppListenOptions, AppOptions, CompressOptions, OpCode, WebSocket

from benchmarks.peers.command_line import ADDRESS, MAX_MESSAGE_SIZE, Options, parse_options

TOPIC = "all"


def echo(websocket: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Send a message back."""
    websocket.send(message, opcode)


def echo_compressed(websocket: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Send a message back, compressed."""
    websocket.send(message, opcode, True)


def subscribe(websocket: WebSocket) -> None:
    """Make a new connection a receiver."""
    websocket.subscribe(TOPIC)


def publish(websocket: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Send a message to all other connections."""
    websocket.publish(TOPIC, message, opcode)


def settings(options: Options) -> dict[str, Any]:
    """Return the behaviour of a WebSocket route."""
    return {
        "max_payload_length": MAX_MESSAGE_SIZE,
        "max_backpressure": MAX_MESSAGE_SIZE,
        "idle_timeout": 120,
        "compression": CompressOptions.SHARED_COMPRESSOR if options.deflate else CompressOptions.DISABLED,
    }


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    app = App(
        AppOptions(key_file_name=options.keyfile, cert_file_name=options.certfile)
        if options.certfile
        else None
    )
    behavior = settings(options)
    app.ws("/echo", {**behavior, "message": echo_compressed if options.deflate else echo})
    app.ws("/broadcast", {**behavior, "open": subscribe, "message": publish})
    app.listen(AppListenOptions(port=options.port, host=ADDRESS))
    app.run()


if __name__ == "__main__":
    main()
