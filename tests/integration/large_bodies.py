"""A server for large bodies, in a process of its own, patched for gevent by ``python -m gevent.monkey``."""

from __future__ import annotations

import os
import sys

from flask import Flask, request, send_file

from geventkws import WebSocketServer

BLOCK = b"x" * 65536

app = Flask("large")


@app.post("/upload")
def upload():
    """Accept a file, which Werkzeug keeps on disk."""
    stream = request.files["file"].stream
    return {"size": sum(len(block) for block in iter(lambda: stream.read(65536), b""))}


@app.get("/download/<int:size>")
def download(size: int):
    """Generate this many bytes."""
    blocks = (BLOCK for _ in range(size // len(BLOCK)))
    return app.response_class(blocks, headers={"Content-Length": str(size)})


@app.get("/file")
def file():
    """Send the file on disk."""
    return send_file(sys.argv[1])


if __name__ == "__main__":
    server = WebSocketServer(("127.0.0.1", 0), app)
    server.start()
    print(f"port {server.server_port} pid {os.getpid()}", flush=True)
    server.serve_forever()
