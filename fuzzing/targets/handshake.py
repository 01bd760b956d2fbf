"""The opening handshake: accepted with an answer that can be sent, or refused with a status of 400 to 499."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fuzzing.inputs import Input
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.handshake import negotiate
from geventkws.protocol.refusals import HandshakeError
from geventkws.protocol.tokens import OWS

VALID = (
    ("Host", "localhost:8080"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
NAMES = (
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Origin",
    "Host",
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
)
SUBPROTOCOLS: tuple[tuple[str, ...], ...] = (("chat", "superchat"), ())
ALLOWED_ORIGINS: tuple[tuple[str, ...] | str | None, ...] = (None, "*", ("http://localhost:8080",), ())
COMPRESSIONS: tuple[bool | PerMessageDeflate, ...] = (
    True,
    False,
    PerMessageDeflate(server_max_window_bits=9),
)
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


SEEDS = (
    b"\0\0\0\1\0\7permessage-deflate; client_max_window_bits; server_max_window_bits=10",
    b"\0\0\0\1\1\7superchat, chat",
    b"\0\2\0\1\2\7http://localhost:8080",
    b"\0\1\1\1\7\7AAAAAAAAAAAAAAAAAAAAAA==",
)
"""Each is accepted: with compression, a subprotocol, an origin that is allowed, and another key."""


@dataclass
class Policy:
    """What a service allows."""

    subprotocols: tuple[str, ...]
    allowed_origins: tuple[str, ...] | str | None
    compression: bool | PerMessageDeflate


def one_input(data: bytes) -> None:
    """Negotiate with a valid head, of which lines are replaced or doubled."""
    given = Input(data)
    policy = Policy(given.choose(SUBPROTOCOLS), given.choose(ALLOWED_ORIGINS), given.choose(COMPRESSIONS))
    lines = list(VALID)
    for _ in range(given.choose(range(4))):
        name, position = given.choose(NAMES), given.choose(range(8))
        value = given.rest() if position == 7 else bytes(given.choose(range(256)) for _ in range(position))
        kept = [line for line in lines if line[0] != name] if given.choose([True, False]) else lines
        lines = [*kept, (name, value.decode("latin-1").strip(OWS))]
    try:
        accepted = negotiate("GET", "1.1", lines, policy)
    except HandshakeError as error:
        if not 400 <= error.status < 500:
            raise
        return
    assert accepted.subprotocol is None or accepted.subprotocol in policy.subprotocols
    assert all(VALUE.fullmatch(value) for _name, value in accepted.headers), accepted
    if accepted.compression is not None:
        Deflate(accepted.compression)
