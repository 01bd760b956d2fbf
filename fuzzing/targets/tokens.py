"""JSON Web Tokens: whatever they claim, they are taken or refused, and never taken without the right key."""

from __future__ import annotations

import json

from jwt.api_jws import PyJWS

from fuzzing.inputs import Input
from geventkws.centrifuge.tokens import TokenExpired, TokenInvalid, Tokens

SECRET = "a secret that has at least 32 bytes"
OTHERS = ("another secret, as long as this is", "a secret that has at least 32 bytez")
TOKENS = Tokens(SECRET)
USER, CHANNEL = "ann", "news"

CLAIMS = (
    {"sub": USER, "exp": 4_000_000_000, "info": {"a": 1}, "channels": ["a"], "subs": {"b": {"data": 1}}},
    {"sub": USER, "channel": CHANNEL, "expire_at": 0, "iat": 1, "jti": "x"},
    {"sub": USER, "exp": 1},
)
RIGHT, WRONG, NONE, RAW = range(4)

SEEDS = tuple(bytes((kind,)) + json.dumps(claims).encode() for kind in range(4) for claims in CLAIMS)


def one_input(data: bytes) -> None:
    """Bring a token with these claims, signed by the right key, by another or by none; or any text."""
    given = Input(data)
    kind = given.choose((RIGHT, WRONG, NONE, RAW))
    payload = given.rest()
    if kind == RIGHT:
        is_taken(PyJWS().encode(payload, SECRET, "HS256"))
        return
    if kind == WRONG:
        forged = [PyJWS().encode(payload, key, "HS256") for key in OTHERS]
    elif kind == NONE:
        signature = PyJWS().encode(payload, SECRET, "HS256").rpartition(".")[2]
        unsigned = PyJWS().encode(payload, "", "none")
        forged = [unsigned, unsigned + signature]
    else:
        forged = [payload.decode("utf-8", "replace")]
    for token in forged:
        assert not is_taken(token), token


def is_taken(token: str) -> bool:
    """Return whether the token lets somebody connect or subscribe."""
    taken = 0
    for take in (lambda: TOKENS.connection(token), lambda: TOKENS.subscription(token, USER, CHANNEL)):
        try:
            take()
        except (TokenInvalid, TokenExpired):
            continue
        taken += 1
    assert taken < 2, "a token of one kind was taken for the other"
    return bool(taken)
