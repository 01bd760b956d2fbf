"""A WSGI application for other servers that records each request it sees, in the notation of the corpus.

``SEEN_FILE`` names the file; each line is one request, in JSON.
"""

from __future__ import annotations

import json
import os


def application(environ, start_response):
    try:
        body = environ["wsgi.input"].read().decode("latin-1")
    except OSError:
        start_response("400 Bad Request", [("Content-Length", "0"), ("Connection", "close")])
        return [b""]
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI") or environ["PATH_INFO"]
    line = json.dumps(f"{environ['REQUEST_METHOD']} {target} {body}".rstrip(" ")) + "\n"
    file = os.open(os.environ["SEEN_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"seen"]
