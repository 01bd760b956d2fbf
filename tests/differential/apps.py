"""Applications that answer with what they have read, for our server and others: WSGI, ASGI.

Each request is answered by 200 without a body. The field ``X-Read`` has what a proxy has put into
``X-Passed-On``, the method, and the body in hexadecimal digits, with a space between them. Imports nothing
that the environment of another server may lack.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SUBPROTOCOLS = ("chat", "superchat")


def told(passed_on: str | None, method: str, body: bytes) -> str:
    """Return the value of ``X-Read``."""
    return f"{passed_on or '-'} {method} {body.hex()}".rstrip()


def chosen(offered: Iterable[str]) -> str | None:
    """Return the first subprotocol that is spoken."""
    return next((subprotocol for subprotocol in offered if subprotocol in SUBPROTOCOLS), None)


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    value = told(environ.get("HTTP_X_PASSED_ON"), environ["REQUEST_METHOD"], body)
    start_response("200 OK", [("Content-Length", "0"), ("X-Read", value)])
    return [b""]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _answer(scope["method"], receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": chosen(scope["subprotocols"])})
        while (await receive())["type"] != "websocket.disconnect":
            pass


async def _answer(method: str, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    fields = [(b"content-length", b"0"), (b"x-read", told(None, method, body).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
