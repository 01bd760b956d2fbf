"""Which keys are taken, and for which algorithms."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from geventkws.centrifuge.keys import keys_of
from tests.centrifuge.token_keys import LONG_SECRET, SECRET, in_pem, pair, rsa_pair

pytestmark = pytest.mark.readable


@pytest.mark.parametrize(
    ("size", "algorithms"),
    [(32, {"HS256"}), (48, {"HS256", "HS384"}), (64, {"HS256", "HS384", "HS512"})],
)
def test_a_secret_is_for_hmac_as_far_as_it_is_long_enough(size: int, algorithms: set[str]) -> None:
    (key,) = keys_of("x" * size, None)
    assert set(key.algorithms) == algorithms


@pytest.mark.parametrize(
    ("algorithm", "algorithms"),
    [
        ("RS256", {"RS256", "RS384", "RS512"}),
        ("ES256", {"ES256"}),
        ("ES384", {"ES384"}),
        ("ES512", {"ES512"}),
    ],
)
def test_a_public_key_is_for_its_own_kind_of_algorithm(algorithm: str, algorithms: set[str]) -> None:
    (key,) = keys_of(None, pair(algorithm)[1])
    assert set(key.algorithms) == algorithms


def test_there_may_be_several_keys() -> None:
    keys = keys_of([SECRET, LONG_SECRET.encode()], (pair("ES256")[1], pair("RS256")[1]))
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("secret", "public_key", "message"),
    [
        (None, None, "without a key"),
        ([], None, "without a key"),
        ("x" * 31, None, "31 bytes, and could be guessed"),
        ("", None, "0 bytes"),
        (pair("RS256")[1], None, "belongs into public_key"),
        (None, pair("RS256")[0], "is a private key"),
        (None, SECRET, "no public key in PEM"),
        (None, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
        (None, rsa_pair(1024)[1], "has 1024 bits"),
        (None, in_pem(ed25519.Ed25519PrivateKey.generate())[1], "of a kind that tokens are not signed with"),
        (
            None,
            in_pem(ec.generate_private_key(ec.SECP256K1()))[1],
            "of a kind that tokens are not signed with",
        ),
    ],
)
def test_what_is_no_good_as_a_key_is_refused(secret: Any, public_key: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keys_of(secret, public_key)


def test_a_key_of_another_type_is_refused_without_being_shown() -> None:
    with pytest.raises(TypeError, match="secret is a str or bytes, or several, not a int"):
        keys_of([1234], None)  # type: ignore[list-item]
