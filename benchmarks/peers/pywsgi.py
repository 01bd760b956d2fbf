"""gevent's own WSGI server."""

from __future__ import annotations

from gevent.pywsgi import WSGIServer

from benchmarks.peers.command_line import ADDRESS, parse_options
from benchmarks.peers.http_app import application

if __name__ == "__main__":
    WSGIServer((ADDRESS, parse_options().port), application, log=None, backlog=1024).serve_forever()
