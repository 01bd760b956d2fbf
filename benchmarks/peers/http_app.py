"""The HTTP workloads as a WSGI application (PEP 3333).

``/hello`` 13 bytes; ``/json`` a JSON document of 10 KiB; ``/file`` 1 MiB from disk
by the server's ``wsgi.file_wrapper``; ``/upload`` reads a request body and says how long it was.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from wsgiref.util import FileWrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HELLO = b"Hello, world!"
FILE_SIZE = 1 << 20
DOCUMENT = json.dumps({"rows": [{"id": number, "name": f"item {number}"} for number in range(317)]}).encode()


def file_path() -> str:
    """Return the path of the file that is served; it is made when it is not there."""
    path = os.path.join(tempfile.gettempdir(), f"geventkws-benchmark-{os.getuid()}.bin")
    if not os.path.exists(path) or os.path.getsize(path) != FILE_SIZE:
        with open(path, "wb") as file:
            file.write(bytes(range(256)) * (FILE_SIZE // 256))
    return path


FILE = file_path()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve the four paths."""
    path = environ["PATH_INFO"]
    content_type = "text/plain"
    if path == "/hello":
        body = HELLO
    elif path == "/json":
        body, content_type = DOCUMENT, "application/json"
    elif path == "/upload":
        body = str(len(environ["wsgi.input"].read())).encode()
    elif path == "/file":
        start_response(
            "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(FILE_SIZE))]
        )
        wrapper: Callable[..., Iterable[bytes]] = environ.get("wsgi.file_wrapper", FileWrapper)
        return wrapper(open(FILE, "rb"), 65536)
    else:
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]
    start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
