"""A Flask application, to show the cost of a framework, which is the same for every server."""

from __future__ import annotations

from flask import Flask

from benchmarks.peers.http_app import HELLO

app = Flask(__name__)


@app.get("/hello")
def hello() -> str:
    """Answer as the WSGI application does."""
    return HELLO.decode()
