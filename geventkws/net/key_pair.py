"""Reads a certificate and its key into a TLS context, and explains failures, since OpenSSL names no file."""

from __future__ import annotations

import errno
import os
import ssl
from pathlib import Path

_REMEDIES = {
    errno.ENOENT: "check the path, which is relative to the working directory unless it begins with '/'",
    errno.EACCES: "let the server's user read it",
    errno.EISDIR: "give a file, not a directory",
}

_CERTIFICATE = b"CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


def load_key_pair(context: ssl.SSLContext, certfile: str, keyfile: str | None = None) -> None:
    """Let ``context`` use the certificate in ``certfile``, with the key in ``keyfile`` or in the same file.

    Raises ``OSError`` for a file that cannot be read, and ``ssl.SSLError`` (which is one) for files that do
    not work together, such as swapped files or the key of another certificate. Each error names the file and
    says what to do.
    """
    try:
        context.load_cert_chain(certfile, keyfile, password=_refuse_to_ask)
    except ssl.SSLError as error:
        raise _error(_explain(certfile, keyfile, error)) from error
    except OSError:
        for name, path in (("certfile", certfile), ("keyfile", keyfile)):
            if path is not None:
                _check_readable(name, path)
        raise
    except _EncryptedError:
        encrypted = _name(certfile, keyfile)
        raise _error(
            f"{encrypted} has an encrypted key: decrypt it (openssl pkey -in FILE -out NEW), or pass"
            " an ssl_context that has loaded it with load_cert_chain(certfile, keyfile, password)"
        ) from None


class _EncryptedError(Exception):
    """A key is encrypted."""


def _error(text: str) -> ssl.SSLError:
    return ssl.SSLError(ssl.SSL_ERROR_SSL, text)


def _refuse_to_ask() -> str:
    """Keep OpenSSL from asking for a password at the terminal, where there may be nobody."""
    raise _EncryptedError


def _name(certfile: str, keyfile: str | None) -> str:
    """Return the argument and the name of the file that should hold the key."""
    return f"certfile {certfile!r}" if keyfile is None else f"keyfile {keyfile!r}"


def _check_readable(name: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        text = f"{name} {os.fspath(path)!r}: {error.strerror}"
        raise OSError(error.errno, f"{text}; {remedy}" if remedy else text) from error


def _explain(certfile: str, keyfile: str | None, error: ssl.SSLError) -> str:
    """Return what is wrong with files that can be read, and what to do."""
    where = f"certfile {certfile!r}"
    certificate = Path(certfile).read_bytes()
    key = certificate if keyfile is None else Path(keyfile).read_bytes()
    if _CERTIFICATE not in certificate and _KEY in certificate:
        if _CERTIFICATE in key:
            return f"{where} has a key, and keyfile {keyfile!r} a certificate: swap the two"
        return f"{where} has a key and no certificate: give the certificate's file, and this one as keyfile"
    if _CERTIFICATE not in certificate:
        return f"{where} has no certificate in PEM form{_der_hint('x509', certificate)}"
    if _KEY not in key:
        if keyfile is None:
            return f"{where} has no key: give the key's file as keyfile"
        return f"keyfile {keyfile!r} has no key in PEM form{_der_hint('pkey', key)}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the key in {_name(certfile, keyfile)} does not belong to the certificate in {where}: give the"
            " right key"
        )
    pair = where if keyfile is None else f"{where} with keyfile {keyfile!r}"
    return f"{pair}: OpenSSL cannot use them ({error}): create them again, or request new ones"


def _der_hint(command: str, data: bytes) -> str:
    """Return the remedy for a file in another format; DER begins with a SEQUENCE (X.690, 8.9)."""
    if data.startswith(b"\x30"):
        return f", but in DER form: convert it (openssl {command} -inform DER -in FILE -out NEW)"
    return ", which begins with '-----BEGIN': give another file"
