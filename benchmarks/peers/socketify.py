"""socketify: the C++ server uWebSockets, called from Python."""

from __future__ import annotations

from socketify import App, AppListenOptions, AppOptions, CompressOptions, OpCode, WebSocket

from benchmarks.peers.command_line import ADDRESS, MAX_MESSAGE_SIZE, parse_options

TOPIC = "all"
BEHAVIOR = {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": MAX_MESSAGE_SIZE,
    "max_backpressure": MAX_MESSAGE_SIZE,
    "idle_timeout": 120,
}


def echo(websocket: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Send a message back."""
    websocket.send(message, opcode)


def subscribe(websocket: WebSocket) -> None:
    """Make a new connection a receiver."""
    websocket.subscribe(TOPIC)


def publish(websocket: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Send a message to all other connections."""
    websocket.publish(TOPIC, message, opcode)


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options()
    app = App(
        AppOptions(key_file_name=options.keyfile, cert_file_name=options.certfile)
        if options.certfile
        else None
    )
    app.ws("/echo", {**BEHAVIOR, "message": echo})
    app.ws("/broadcast", {**BEHAVIOR, "open": subscribe, "message": publish})
    app.listen(AppListenOptions(port=options.port, host=ADDRESS))
    app.run()


if __name__ == "__main__":
    main()
