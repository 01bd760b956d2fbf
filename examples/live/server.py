"""A live page for those who have logged in: ``make live``, or ``geventkws serve server:app`` in this folder.

Flask does what it always does: it logs people in, shows a page, and takes what they write. The service beside
it keeps the page up to date. Which channels there are is said in ``channels.py``.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

from channels import KEPT, NAMESPACES, READINGS, ROOM, channels
from flask import (
    Flask,
    Response,
    abort,
    redirect,
    render_template,
    request,
    send_from_directory,
    session,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from geventkws import WebSocket
from geventkws.centrifuge import CentrifugeService, Client, ClientError, Connected, ErrorCode, disconnect_user
from geventkws.pubsub import BrokerUnavailable
from geventkws.request import Request

HERE = Path(__file__).parent
CLIENT = HERE / "node_modules" / "centrifuge" / "dist"
NAME_LIMIT = 40
TEXT_LIMIT = 1000

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

if not CLIENT.is_dir():
    sys.exit(f"The page needs npm's package centrifuge: run `npm install` in {HERE}")

app = Flask(__name__)
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
app.config.from_prefixed_env()  # FLASK_SECRET_KEY, which several processes must have in common
app.secret_key = app.secret_key or secrets.token_bytes()
pubsub = channels()


class Live(CentrifugeService):
    """Lets in whoever has logged in."""

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        """Find the session of Flask in the request that opened the WebSocket."""
        with app.request_context(request.environ):
            if "user" not in session:
                raise ClientError(ErrorCode.UNAUTHORIZED)
            return Connected(session["user"], {"name": session["name"]}, {"process": os.getpid()})


WebSocket.register(Live(pubsub, namespaces=NAMESPACES, recovery_limit=KEPT), on_path="/live")


@app.get("/")
def page() -> str:
    """Return the live page, or the one to log in on."""
    if "user" not in session:
        return render_template("login.html", limit=NAME_LIMIT)
    return render_template("live.html", limit=TEXT_LIMIT, kept=KEPT, readings=READINGS, room=ROOM)


@app.post("/login")
def login() -> AnyResponse | tuple[str, int]:
    """Let somebody in under any name; an application of your own would ask for a password."""
    name = " ".join(request.form.get("name", "").split())
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        problem = f"Please enter a name of 1 to {NAME_LIMIT} letters."
        return render_template("login.html", limit=NAME_LIMIT, problem=problem), 400
    session["name"], session["user"] = name, secrets.token_hex(8)
    return redirect(url_for("page"))


@app.post("/logout")
def logout() -> AnyResponse:
    """Log somebody out, also on the pages that are open elsewhere."""
    user = session.pop("user", None)
    if user is not None:
        disconnect_user(pubsub, user)
    return redirect(url_for("page"))


@app.post("/say")
def say() -> tuple[str, int]:
    """Publish what somebody says in the room; with a key, so that a repetition is not said twice."""
    if "user" not in session:
        return "You are no longer logged in.", 401
    text, key = request.form.get("text", "").strip(), request.form.get("key", "")
    if not 0 < len(text) <= TEXT_LIMIT:
        return f"A message has 1 to {TEXT_LIMIT} characters.", 400
    said = {"user": session["user"], "name": session["name"], "text": text, "time": time()}
    pubsub.publish(ROOM, json.dumps(said), key=f"{session['user']} {key}" if key else None)
    return "", 204


@app.errorhandler(BrokerUnavailable)
def unavailable(error: BrokerUnavailable) -> tuple[str, int]:
    """Ask for patience while Redis is away: whether it was published is not known, so the key matters."""
    return "The server is busy. Please try again.", 503


@app.get("/centrifuge.js")
def centrifuge() -> Response:
    """Return the client, as npm has installed it."""
    return send_from_directory(CLIENT, "centrifuge.js")


@app.before_request
def refuse_other_sites() -> None:
    """Let no page of another site log somebody in or speak for them: browsers say where a form was."""
    if request.method == "POST" and urlsplit(request.headers.get("Origin", "")).netloc != request.host:
        abort(403)


@app.after_request
def secure(response: Response) -> Response:
    """Let the page run only its own scripts, whatever people write."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"  # with "no-referrer", forms would have no origin
    return response
