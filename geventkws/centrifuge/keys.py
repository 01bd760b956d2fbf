"""The keys that tokens are verified with, and the algorithms that each may be used for (RFC 7518, 3).

An algorithm belongs to the kind of a key. What a token says of it only chooses among the keys that there are:
so a public key never serves as a secret, and a token without a signature is never valid (RFC 8725, 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Material = str | bytes | Iterable[str | bytes]
"""A key, or several."""

HMAC = {32: "HS256", 48: "HS384", 64: "HS512"}
"""The algorithms for secrets, by the fewest bytes that a secret must have (RFC 7518, 3.2)."""

RSA = ("RS256", "RS384", "RS512")
MIN_RSA_SIZE = 2048

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class Key(NamedTuple):
    """A key that can be used, and for what."""

    material: Any
    algorithms: tuple[str, ...]


def keys_of(secret: Material | None, public_key: Material | None) -> list[Key]:
    """Return the keys. Raises ``TypeError`` or ``ValueError`` for what is none, and if there are none."""
    keys = [*map(_secret, _several(secret)), *map(_public_key, _several(public_key))]
    if not keys:
        raise ValueError("tokens cannot be verified without a key: give secret=... or public_key=...")
    return keys


def _several(material: Material | None) -> Iterable[str | bytes]:
    if material is None:
        return ()
    return (material,) if isinstance(material, (str, bytes)) else material


def _bytes(material: object, name: str) -> bytes:
    if not isinstance(material, (str, bytes)):
        raise TypeError(f"{name} is a str or bytes, or several, not a {type(material).__name__}")
    return material.encode() if isinstance(material, str) else material


def _secret(material: str | bytes) -> Key:
    secret = _bytes(material, "secret")
    if b"-----BEGIN" in secret:
        raise ValueError("secret is a key in PEM, which belongs into public_key")
    if len(secret) < min(HMAC):
        raise ValueError(
            f"secret has {len(secret)} bytes, and could be guessed: use {min(HMAC)} random bytes or more, as"
            " secrets.token_hex() makes them"
        )
    return Key(secret, tuple(name for size, name in HMAC.items() if len(secret) >= size))


def _public_key(material: str | bytes) -> Key:
    pem = _bytes(material, "public_key")
    if b"PRIVATE KEY-----" in pem:
        raise ValueError(
            "public_key is a private key: keep that where tokens are made, and give the other half"
        )
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            f"public_key is no public key in PEM, as openssl pkey -pubout writes it: {error}"
        ) from None
    if isinstance(key, RSAPublicKey):
        return _rsa_key(key)
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in CURVES:
        return Key(key, (CURVES[key.curve.name],))
    raise ValueError(
        "public_key is of a kind that tokens are not signed with: use RSA, or P-256, P-384 or P-521"
    )


def _rsa_key(key: RSAPublicKey) -> Key:
    if key.key_size < MIN_RSA_SIZE:
        raise ValueError(
            f"public_key has {key.key_size} bits: RSA needs {MIN_RSA_SIZE} or more (RFC 7518, 3.3)"
        )
    return Key(key, RSA)
