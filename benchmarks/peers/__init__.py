"""The servers, each a program: ``python -m benchmarks.peers.NAME --port PORT``.

A WebSocket server has the paths ``/echo`` (every message comes back) and ``/broadcast`` (every message
goes to all connections of this path); an HTTP server serves what ``http_app`` describes. Each is written
as the documentation of its library recommends for speed, in one process; with ``--deflate``, those that know
permessage-deflate accept it, with the settings that are their library's own.
"""
