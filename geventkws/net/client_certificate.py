"""A TLS client's certificate in the WSGI environ, under the names that Apache's mod_ssl uses."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from typing import Any

PEER_CERTIFICATE = "geventkws.peer_certificate"
"""The environ's key for the certificate as ``ssl.SSLSocket.getpeercert`` returns it, a ``dict``."""

Names = Iterable[Iterable[tuple[str, str]]]

# The names of RFC 4514, section 3; others are left as they are.
_SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}

_SPECIAL = re.compile(r'[\\",+;<>]|^[ #]| \Z')


def certificate_environ(certificate: dict[str, Any], der: bytes) -> dict[str, Any]:
    """Return the environ entries for a verified certificate; ``der`` is its binary form."""
    return {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": _native(distinguished_name(certificate.get("subject", ()))),
        "SSL_CLIENT_I_DN": _native(distinguished_name(certificate.get("issuer", ()))),
        "SSL_CLIENT_M_SERIAL": certificate.get("serialNumber", ""),
        "SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(der),
        PEER_CERTIFICATE: certificate,
    }


def distinguished_name(names: Names) -> str:
    """Return a certificate's ``subject`` or ``issuer`` as in RFC 4514, with the most specific name first."""
    relative = [
        "+".join(f"{_SHORT_NAMES.get(kind, kind)}={_SPECIAL.sub(_escaped, value)}" for kind, value in parts)
        for parts in names
    ]
    return ",".join(reversed(relative))


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _native(text: str) -> str:
    # A str in an environ has one character per byte (PEP 3333, "Unicode Issues").
    return text.encode("utf-8").decode("latin-1")
