"""The certificates of a server: one for each name it has (SNI, RFC 6066, 3), and new ones while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from geventkws.net.tls import server_context

Files = tuple[str, str | None]
"""The files of a certificate, with those of its issuers, and of its key (``None``: in the same file)."""


class CertificateFiles:
    """Where the certificates of a server are."""

    def __init__(
        self, certfile: str, keyfile: str | None = None, certificates: Mapping[str, Files] | None = None
    ) -> None:
        """Take the files of all names but those of ``certificates``, in which ``*.`` is any one label.

        Raises ``TypeError`` for what is no mapping of names to (certfile, keyfile).
        """
        self._default: Files = (certfile, keyfile)
        self._by_name: dict[str, Files] = {}
        for name, files in (certificates or {}).items():
            if isinstance(files, str):
                raise TypeError(f"certificates[{name!r}] must be a tuple (certfile, keyfile), not {files!r}")
            certfile, keyfile = files
            self._by_name[name.lower()] = certfile, keyfile

    def load(self) -> ssl.SSLContext:
        """Read the files and return a context that chooses the certificate by the name a client asks for.

        Raises ``OSError`` for a file that cannot be read, ``ssl.SSLError`` for one that is no certificate
        or key: nothing is changed then.
        """
        context = server_context(*self._default)
        contexts = {name: server_context(*files) for name, files in self._by_name.items()}

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            chosen = _match(contexts, name)
            if chosen is not None:
                connection.context = chosen

        if contexts:
            context.sni_callback = choose
        return context


def _match(contexts: dict[str, ssl.SSLContext], name: str | None) -> ssl.SSLContext | None:
    if name is None:
        return None
    name = name.lower()
    return contexts.get(name) or contexts.get("*." + name.partition(".")[2])
