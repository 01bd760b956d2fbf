"""waitress."""

from __future__ import annotations

import logging
from typing import Any

from waitress import serve

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_CONNECTIONS, Options, parse_options


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server."""
    return {
        "threads": 1,
        "backlog": BACKLOG,
        "connection_limit": MAX_CONNECTIONS,
        "asyncore_use_poll": True,  # select() is limited to 1,024 sockets
        "channel_timeout": options.keepalive_timeout,
    }


if __name__ == "__main__":
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns about every waiting request
    options = parse_options(settings)
    serve(options.load_application(), host=ADDRESS, port=options.port, **settings(options))
