"""Choose where to listen, and with which certificates."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import trustme

from geventkws import WebSocketServer
from tests.docs.contexts.context import Context, get
from tests.docs.contexts.services import application
from tests.waiting import PATIENCE

FIRST_SOCKET = 3
"""The descriptor that systemd passes (sd_listen_fds(3))."""


class Start(Context):
    """A server whose address is available."""

    def names(self) -> dict[str, Any]:
        return {"server": WebSocketServer(("127.0.0.1", 0), application), "sys": sys}

    def check(self, block: SimpleNamespace) -> None:
        assert block.server.started
        block.server.stop()


class SystemdSocket(Context):
    """The socket exists before the program, which is started again with it, as by systemd."""

    def names(self) -> dict[str, Any]:
        if "LISTEN_PID" not in os.environ:
            listener = socket.create_server(("127.0.0.1", 0))
            os.dup2(listener.fileno(), FIRST_SOCKET)
            os.set_inheritable(FIRST_SOCKET, True)  # dup2 does not, if both are the same
            environ = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
            os.execve(sys.executable, sys.orig_argv, environ)
        return {"WebSocketServer": WebSocketServer, "app": application}

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"


class Files:
    """An authority and the files of its certificates."""

    def __init__(self) -> None:
        self.authority = trustme.CA()

    def write(self, certfile: str, keyfile: str, *names: str) -> None:
        """Issue a certificate for these names."""
        issued = self.authority.issue_cert(*names)
        Path(certfile).parent.mkdir(parents=True, exist_ok=True)
        issued.cert_chain_pems[0].write_to_path(certfile)
        issued.private_key_pem.write_to_path(keyfile)

    def certificate(self, server: WebSocketServer, name: str) -> dict[str, Any]:
        """Return the certificate that a client gets if it asks for ``name``, for which it must be valid."""
        context = ssl.create_default_context()
        assert server.server_port
        self.authority.configure_trust(context)
        with (
            socket.create_connection(("127.0.0.1", server.server_port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return secure.getpeercert() or {}


class Certificates(Context):
    """Certificates of several names."""

    def names(self) -> dict[str, Any]:
        self.files = Files()
        for stem, *names in (
            ("example.org", "example.org"),
            ("example.net", "www.example.net"),
            ("example.com", "*.example.com"),
        ):
            self.files.write(f"tls/{stem}.pem", f"tls/{stem}.key", *names)
        return {"WebSocketServer": WebSocketServer, "app": application}

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        for name in ("example.org", "www.example.net", "shop.example.com"):
            assert self.files.certificate(block.server, name)
        block.server.stop(timeout=5)


class ReloadCertificates(Context):
    """A server whose certificate is replaced while it runs."""

    def names(self) -> dict[str, Any]:
        self.files = Files()
        self.files.write("server.pem", "server.key", "example.org")
        self.server = WebSocketServer(
            ("127.0.0.1", 0), application, certfile="server.pem", keyfile="server.key"
        )
        self.server.start()
        return {"server": self.server}

    def check(self, block: SimpleNamespace) -> None:
        before = self.files.certificate(self.server, "example.org")
        self.files.write("server.pem", "server.key", "example.org")
        os.kill(os.getpid(), signal.SIGHUP)
        with gevent.Timeout(PATIENCE):
            while self.files.certificate(self.server, "example.org") == before:
                gevent.idle()
        self.server.stop(timeout=5)
