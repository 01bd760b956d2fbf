"""granian serving the file by itself: it has no ``wsgi.file_wrapper``, and this is its fast way."""

from __future__ import annotations

from benchmarks.peers.granian import serve
from benchmarks.peers.http_app import DIRECTORY

if __name__ == "__main__":
    serve([DIRECTORY])
