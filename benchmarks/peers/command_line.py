"""The command line that all servers have."""

from __future__ import annotations

import argparse
import ssl

ADDRESS = "127.0.0.1"
MAX_MESSAGE_SIZE = 16 << 20
"""Bytes that a message may have, for those servers that have a limit."""


class Options(argparse.Namespace):
    """Where to listen, the certificate if it is to be over TLS, and whether messages may be compressed."""

    port: int
    certfile: str | None
    keyfile: str | None
    deflate: bool

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of these options, or None."""
        if self.certfile is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certfile, self.keyfile)
        return context


def parse_options() -> Options:
    """Read the command line of a server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certfile", help="serve over TLS with this certificate")
    parser.add_argument("--keyfile")
    parser.add_argument("--deflate", action="store_true", help="accept permessage-deflate, where it is known")
    return parser.parse_args(namespace=Options())
