"""A chat: a page at http://localhost:8080/, and ws://localhost:8080/chat for the page and for terminals.

Run it with ``python examples/chat/server.py``. The page is a Flask application, and the chat a WebSocket
service beside it on the same port. The rooms are those of this process; with the URL of a Redis server in
the environment variable GEVENTKWS_REDIS, those of all processes that use it.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import logging
import os
import sys

from chat_service import LOBBY, ChatService
from flask import Flask, Response, abort, jsonify, redirect, render_template, url_for
from names import NAME_LIMIT, NameProblem, clean_room
from page_protocol import TEXT_LIMIT
from werkzeug.wrappers import Response as AnyResponse

from geventkws import WebSocket, WebSocketServer
from geventkws.pubsub import BrokerUnavailable, PubSub

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

app = Flask(__name__)
chat = ChatService(PubSub(os.environ.get("GEVENTKWS_REDIS")))
WebSocket.register(chat, on_path="/chat")
WebSocket.register(chat, on_path="/chat/<room>")


@app.get("/")
@app.get("/rooms/<room>")
def page(room: str = LOBBY) -> str | AnyResponse:
    """Return the page of a room, which need not exist before."""
    try:
        name = clean_room(room)
    except NameProblem as problem:
        abort(404, str(problem))
    if name != room:
        return redirect(url_for("page", room=name))
    return render_template("index.html", room=room, name_limit=NAME_LIMIT, text_limit=TEXT_LIMIT)


@app.get("/rooms")
def rooms() -> Response:
    """Return the rooms that somebody is in, and how many are."""
    try:
        return jsonify(chat.rooms())
    except BrokerUnavailable:
        abort(503)


@app.after_request
def secure(response: Response) -> Response:
    """Let the page run only its own script, whatever people type."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def main() -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, which ``serve_forever`` handles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--host", default="", help="the address to listen on (default: all)")
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT", "8080"),
        help="0 picks a free one (default: $PORT, or 8080)",
    )
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        server = WebSocketServer((arguments.host, arguments.port), app)
        server.start()
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    url = f"http://localhost:{server.server_port}/"
    print(f"Open {url} in a browser, or in two. Ctrl-C stops the server.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
