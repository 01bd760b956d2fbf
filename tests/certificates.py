"""Certificates and TLS contexts for tests: an authority, and a server and clients certified by it."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

HOST = "127.0.0.1"


class Certificates:
    """A certificate authority, and the files of a server's certificate issued by it."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.certfile = str(directory / "server.pem")
        self.keyfile = str(directory / "server.key")
        self.bothfile = str(directory / "both.pem")
        self.renew()

    def renew(self) -> None:
        """Write a new certificate of the server and its key over the old ones."""
        server = self.authority.issue_cert(HOST, "localhost")
        for index, pem in enumerate(server.cert_chain_pems):
            pem.write_to_path(self.certfile, append=index > 0)
        server.private_key_pem.write_to_path(self.keyfile)
        server.private_key_and_cert_chain_pem.write_to_path(self.bothfile)

    def client(self, version: ssl.TLSVersion | None = None, name: str | None = None) -> ssl.SSLContext:
        """Return a client's context: only for ``version``, and with a certificate for ``name``, if given."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        self.authority.configure_trust(context)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if name is not None:
            self.authority.issue_cert("client@example.org", common_name=name).configure_cert(context)
        return context

    def server(self, verify: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
        """Return a server's context, which trusts the authority's clients."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certfile, self.keyfile)
        self.authority.configure_trust(context)
        context.verify_mode = verify
        return context
