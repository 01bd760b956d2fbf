"""Keys to sign tokens with, made once, and tokens made without a library."""

from __future__ import annotations

import base64
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

SECRET = "0123456789abcdef0123456789abcdef"
LONG_SECRET = SECRET * 2

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def pair(algorithm: str) -> tuple[str, str]:
    """Return a private key and the public one, in PEM."""
    if algorithm.startswith("RS"):
        return rsa_pair(2048)
    return in_pem(ec.generate_private_key(CURVES[algorithm]))


@cache
def rsa_pair(size: int) -> tuple[str, str]:
    return in_pem(rsa.generate_private_key(65537, size))


def in_pem(key: Any) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def part(value: object) -> str:
    """Return a part of a token: JSON, or bytes, in base64 without padding."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(claims: object, header: object = None, secret: bytes = SECRET.encode()) -> str:
    """Return a token with HS256, whatever its header says."""
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'} if header is None else header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256'))}"
