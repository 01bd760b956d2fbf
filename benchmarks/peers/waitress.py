"""waitress, with the threads it has by default."""

from __future__ import annotations

import logging

from waitress import serve

from benchmarks.peers.command_line import ADDRESS, parse_options
from benchmarks.peers.http_app import application

if __name__ == "__main__":
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request that waits
    serve(application, host=ADDRESS, port=parse_options().port, connection_limit=1000)
