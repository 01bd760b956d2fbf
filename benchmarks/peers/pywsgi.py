"""gevent's own WSGI server."""

from __future__ import annotations

from typing import Any

from gevent.pywsgi import WSGIServer

from benchmarks.peers.command_line import ADDRESS, BACKLOG, Options, parse_options


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server."""
    return {"backlog": BACKLOG, "log": None}


if __name__ == "__main__":
    options = parse_options(settings)
    listener = (ADDRESS, options.port)
    WSGIServer(listener, options.load_application(), **settings(options)).serve_forever()
