"""The WSGI environ of a request (PEP 3333, "environ Variables")."""

from __future__ import annotations

import io
import sys
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from geventkws.backend import use_compiled
from geventkws.http.files import FileWrapper
from geventkws.net.address import Address
from geventkws.protocol.field_index import MAX_KNOWN_NAME, MAX_KNOWN_NAMES
from geventkws.version import __version__


class Head(Protocol):
    """What an environ is built from."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...


class EnvironBuilder:
    """Builds the environs of one server's requests from a base that they share."""

    def __init__(self, server_name: str, server_port: int | str, secure: bool = False) -> None:
        self._base: dict[str, Any] = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_NAME": server_name or "localhost",
            # A Unix-domain socket has no port, but PEP 3333 requires one.
            "SERVER_PORT": str(server_port) or ("443" if secure else "80"),
            "SERVER_SOFTWARE": f"geventkws/{__version__}",
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if secure else "http",
            "wsgi.errors": sys.stderr,
            # Greenlets call the application concurrently, as threads would.
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            # Each request has values of its own; the keys are here so that a copy has room for them.
            "REQUEST_METHOD": "",
            "REQUEST_URI": "",
            "PATH_INFO": "",
            "QUERY_STRING": "",
            "SERVER_PROTOCOL": "",
            "REMOTE_ADDR": "",
            "wsgi.input": None,
        }
        # Twice the room, in copies too: those for browsers, which send as many fields again, need not grow.
        self._base.update(self._base.copy())
        # The name of a field -> its key; bounded, since clients choose the names.
        self._keys = {"Content-Type": "CONTENT_TYPE", "Content-Length": "CONTENT_LENGTH"}

    def build(
        self,
        head: Head,
        remote_address: Address,
        body: io.BufferedIOBase | None = None,
        proxied: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return a new environ for a request.

        ``body`` becomes ``wsgi.input``, which is empty without it; ``proxied`` is what a trusted proxy says
        about the request.
        """
        environ = self._base.copy()
        if proxied is not None:
            environ.update(proxied)
        target = head.target
        path, _, query = target.partition("?")
        environ["REQUEST_METHOD"] = head.method
        environ["REQUEST_URI"] = target
        environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.version == "1.1" else f"HTTP/{head.version}"
        environ["wsgi.input"] = io.BytesIO() if body is None else body
        if isinstance(remote_address, tuple):
            environ["REMOTE_ADDR"] = remote_address[0]
            if remote_address[1]:  # proxies that forward an address rarely forward the port
                environ["REMOTE_PORT"] = str(remote_address[1])
        else:
            environ["REMOTE_ADDR"] = remote_address
        keys, headers, before = self._keys, head.headers, len(environ)
        for name, value in headers:
            environ[keys.get(name) or self._key(name)] = value
        if len(environ) != before + len(headers):
            self._join_lines(environ, headers)
        if "HTTP_PROXY" in environ:
            # In CGI, this names the proxy for outgoing requests (httpoxy, CVE-2016-5385).
            del environ["HTTP_PROXY"]
        return environ

    def _join_lines(self, environ: dict[str, Any], headers: tuple[tuple[str, str], ...]) -> None:
        """Join the values of fields that have several lines."""
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(self._key(name), []).append(value)
        for key, each in values.items():
            environ[key] = ("; " if key == "HTTP_COOKIE" else ", ").join(each)

    def _key(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        if len(name) <= MAX_KNOWN_NAME and len(self._keys) < MAX_KNOWN_NAMES:
            self._keys[name] = key
        return key


use_compiled(__name__, globals())
