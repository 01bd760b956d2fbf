"""Frames of Centrifuge clients, in both formats: two in one frame mean what they mean one after the other."""

from __future__ import annotations

from fuzzing.inputs import Input
from geventkws.centrifuge.protocol.codec import Codec, Frame
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect
from geventkws.centrifuge.protocol.requests import Command
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF, Session

CODECS: tuple[Codec, ...] = (JSON, PROTOBUF)
SIZES = (0, 1, 2, 5, 10, 20, 50, 100)

COMMANDS = (
    b'{"id":1,"connect":{"token":"a.b.c","subs":{"news":{"recover":true,"epoch":"x","offset":3}}}}',
    b'{"id":2,"subscribe":{"channel":"news","data":{"a":[1,null]}}}',
    b'{"send":{"data":"x"}}',
    b"{}",
)


def _seed(codec: Codec, first: bytes, second: bytes) -> bytes:
    return bytes((CODECS.index(codec), SIZES.index(len(first)))) + first + second


SEEDS = (
    _seed(JSON, b'{"send":{"data":10}}', b"\n".join(COMMANDS)),
    _seed(JSON, b'{"send":{"data":10}}', COMMANDS[3]),
    # Protobuf: connect with a token; then subscribe to a channel, and a pong.
    _seed(PROTOBUF, b"\x09\x08\x01\x22\x05\x0a\x03abc", b"\x0a\x08\x02\x2a\x06\x0a\x04news\x00"),
)


def one_input(data: bytes) -> None:
    """Decode an input in two parts and whole, and ask a session for what it means."""
    given = Input(data)
    codec = given.choose(CODECS)
    size = given.choose(SIZES)
    rest = given.rest()
    first, second = decoded(codec, rest[:size]), decoded(codec, rest[size:])
    whole = decoded(codec, (b"\n" if codec is JSON else b"").join((rest[:size], rest[size:])))
    if first is not None and second is not None:
        assert whole == first + second, (whole, first, second)
    session = Session(codec)
    for command in whole or ():
        try:
            session.request(command)
        except ClientError:
            pass
        except Disconnect:
            break


def decoded(codec: Codec, payload: bytes) -> list[Command] | None:
    """Return the commands in a frame, ``None`` if it is malformed."""
    frame: Frame = payload
    if codec is JSON:
        frame = payload.decode("utf-8", "replace")  # messages of text have been checked before
    try:
        commands = list(Session(codec).commands(frame))
    except Disconnect:
        return None
    assert commands
    return commands
