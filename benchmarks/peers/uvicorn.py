"""uvicorn on uvloop and httptools, with an ASGI application for the WebSocket and the HTTP workloads."""

from __future__ import annotations

from typing import Any

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_MESSAGE_SIZE, Options, parse_options
from benchmarks.peers.http_app import (
    BLOCK_SIZE,
    DOCUMENTS,
    FILE,
    FILE_PATH,
    FILE_SIZE,
    HELLO,
    ITEMS,
    UPLOAD_PATH,
)

receivers: set[ASGISendCallable] = set()


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Serve all paths."""
    if scope["type"] == "websocket":
        await serve_websocket(scope, receive, send)
    elif scope["type"] == "http":
        await serve_http(scope, receive, send)


async def serve_websocket(
    scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None:
    """Serve a connection on either path."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    is_echo = scope["path"] == "/echo"
    if not is_echo:
        receivers.add(send)
    while (event := await receive())["type"] == "websocket.receive":
        answer = {"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")}
        if is_echo:
            await send(answer)
            continue
        for send_to in receivers:
            await send_to(answer)
    receivers.discard(send)


async def serve_http(scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Serve the paths of ``http_app``."""
    path = scope["path"]
    if path == FILE_PATH:
        await send_file(send)
        return
    content_type = b"text/plain"
    if path in DOCUMENTS:
        body, content_type = DOCUMENTS[path], b"application/json"
    elif path == UPLOAD_PATH:
        body = str(await body_length(receive)).encode()
    elif path.startswith(ITEMS):
        body = b"%b?%b" % (path.encode(), scope["query_string"])
    else:
        body = HELLO
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def body_length(receive: ASGIReceiveCallable) -> int:
    """Read a request body and return how long it was."""
    length = 0
    while True:
        event = await receive()
        length += len(event.get("body", b""))
        if not event.get("more_body"):
            return length


async def send_file(send: ASGISendCallable) -> None:
    """Send the file in blocks."""
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(FILE_SIZE).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    with open(FILE, "rb") as file:
        while block := file.read(BLOCK_SIZE):
            await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without certificates."""
    return {
        "loop": "uvloop",
        "http": "httptools",
        "backlog": BACKLOG,
        "timeout_keep_alive": options.keepalive_timeout,
        "ws_max_size": MAX_MESSAGE_SIZE,
        "ws_per_message_deflate": options.deflate,
        "log_level": "error",
        "access_log": False,
        "lifespan": "off",
    }


def flask() -> Any:
    """Return the Flask application for ASGI, with one thread to run it."""
    from a2wsgi import WSGIMiddleware

    from benchmarks.peers.flask_app import app

    return WSGIMiddleware(app, workers=1)


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    uvicorn.run(
        flask() if options.flask else app,
        host=ADDRESS,
        port=options.port,
        ssl_certfile=options.certfile,
        ssl_keyfile=options.keyfile,
        **settings(options),
    )


if __name__ == "__main__":
    main()
