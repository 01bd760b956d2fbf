"""The HTTP workloads as a WSGI application (PEP 3333).

``/hello`` has 13 bytes; ``DOCUMENTS`` are JSON of 4 and 10 KiB; ``FILE_PATH`` is 1 MiB from disk, sent by the
server's ``wsgi.file_wrapper``; ``/upload`` reads a request body and answers with its length; paths below
``ITEMS`` are answered with their own path and query.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.util import FileWrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HELLO = b"Hello, world!"
FILE_PATH = "/static/1m.bin"
FILE_SIZE = 1 << 20
BLOCK_SIZE = 65536
DIRECTORY = Path(tempfile.gettempdir(), f"geventkws-benchmark-{os.getuid()}")
UPLOAD_PATH = "/upload"
UPLOAD_SIZE = 10240
ITEMS = "/items/"
NUMBER = "00000"
"""The placeholder for the number of an item in ``ITEM_TARGET``."""
ITEM_TARGET = f"{ITEMS}{NUMBER}/reviews?after={NUMBER}&sort=newest&q=caf%C3%A9"


def make_document(rows: int) -> bytes:
    """Return a JSON document with this many rows."""
    return json.dumps({"rows": [{"id": number, "name": f"item {number}"} for number in range(rows)]}).encode()


DOCUMENTS = {"/json": make_document(317), "/json-4k": make_document(130)}


def make_file() -> Path:
    """Return the path of the file to serve, which is made if it does not exist."""
    path = DIRECTORY / "1m.bin"
    if not path.exists() or path.stat().st_size != FILE_SIZE:
        DIRECTORY.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(bytes(range(256)) * (FILE_SIZE // 256))
    return path


FILE = make_file()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve these paths."""
    path = environ["PATH_INFO"]
    content_type = "text/plain"
    if path == "/hello":
        body = HELLO
    elif path in DOCUMENTS:
        body, content_type = DOCUMENTS[path], "application/json"
    elif path.startswith(ITEMS):
        body = f"{path}?{environ['QUERY_STRING']}".encode("latin-1")
    elif path == UPLOAD_PATH:
        body = str(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))).encode()
    elif path == FILE_PATH:
        start_response(
            "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(FILE_SIZE))]
        )
        wrapper: Callable[..., Iterable[bytes]] = environ.get("wsgi.file_wrapper", FileWrapper)
        return wrapper(open(FILE, "rb"), BLOCK_SIZE)
    else:
        start_response("404 Not Found", [("Content-Type", content_type), ("Content-Length", "0")])
        return [b""]
    start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
