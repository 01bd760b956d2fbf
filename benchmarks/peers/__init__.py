"""The servers, each a program: ``python -m benchmarks.peers.NAME --port PORT``.

A WebSocket server has the paths ``/echo`` (sends every message back) and ``/broadcast`` (sends every message
to all connections on this path); an HTTP server serves what ``http_app`` describes. Each is written as its
library's documentation recommends for speed, in one process. With ``--deflate``, those that support
permessage-deflate accept it, with their library's own settings.
"""
