"""The certificates of a server: one for each of its names (SNI, RFC 6066, 3), replaceable while it runs."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from os import PathLike
from types import NoneType

from geventkws.net.tls import server_context

Path = str | PathLike[str]

Files = tuple[str, str | None]
"""The file of a certificate with its chain, and the file of its key (``None``: the same file)."""


class CertificateFiles:
    """The files of a server's certificates."""

    def __init__(
        self,
        certfile: Path,
        keyfile: Path | None = None,
        certificates: Mapping[str, tuple[Path, Path | None]] | None = None,
    ) -> None:
        """``certificates`` maps names, in which ``*.`` is any single label; all others get ``certfile``.

        Raises ``TypeError`` for anything but paths, or a mapping of names to (certfile, keyfile).
        """
        self._default = _files("certfile and keyfile", (certfile, keyfile))
        self._by_name: dict[str, Files] = {}
        if not isinstance(certificates, (Mapping, NoneType)):
            raise TypeError(
                "certificates must be a dict such as {'www.example.org': (certfile, keyfile)},"
                f" not {certificates!r}"
            )
        for name, files in (certificates or {}).items():
            if not isinstance(name, str):
                raise TypeError(f"certificates must have the server's names as keys, not {name!r}")
            self._by_name[name.lower()] = _files(f"certificates[{name!r}]", files)

    def load(self) -> ssl.SSLContext:
        """Read the files, and return a context that chooses the certificate by the name a client asks for.

        Raises ``OSError`` for a file that cannot be read, and ``ssl.SSLError`` for one that is not a
        certificate or key; both name the file. Nothing is changed then.
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


def _files(where: str, files: object) -> Files:
    """Return the pair ``files``; raise ``TypeError`` if it is not one."""
    match files:
        case [str() | PathLike() as certfile, str() | PathLike() | None as keyfile]:
            return os.fspath(certfile), None if keyfile is None else os.fspath(keyfile)
    raise TypeError(f"{where} must be a tuple (certfile, keyfile) of paths, not {files!r}")


def _match(contexts: dict[str, ssl.SSLContext], name: str | None) -> ssl.SSLContext | None:
    if name is None:
        return None
    name = name.lower()
    return contexts.get(name) or contexts.get("*." + name.partition(".")[2])
