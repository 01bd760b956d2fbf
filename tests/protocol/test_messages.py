"""Messages from frames: fragments, control frames between them, text, limits (RFC 6455, 5.4 to 5.6, 8.1)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.errors import invalid_text, too_large, violation
from geventkws.protocol.messages import MessageAssembler, Ping
from tests.protocol import peer
from tests.protocol.peer import binary, continuation, fragments, ping, pong, text

NOT_UTF8 = invalid_text("A text message must be valid UTF-8")

# Fragments (5.4)


def test_fragments_make_one_message(parse):
    assert parse(text("Hel", fin=False) + continuation(b"l", fin=False) + continuation(b"o")) == ["Hello"]
    assert parse(binary(b"\x00", fin=False) + continuation(b"\xff")) == [b"\x00\xff"]


def test_fragments_may_be_empty(parse):
    wire = (
        binary(b"", fin=False) + continuation(b"", fin=False) + continuation(b"a", fin=False) + continuation()
    )
    assert parse(wire + text("", fin=False) + continuation()) == [b"a", ""]


def test_a_message_may_follow_a_fragmented_one(parse):
    assert parse(text("a", fin=False) + continuation(b"b") + binary(b"c") + text("d")) == ["ab", b"c", "d"]


def test_control_frames_come_between_fragments_and_are_events_at_once(parse):
    wire = text("a", fin=False) + ping(b"1") + pong(b"2") + continuation(b"b", fin=False) + ping()
    assert parse(wire) == [Ping(b"1"), Ping(b"")]
    assert parse(wire + continuation(b"c")) == [Ping(b"1"), Ping(b""), "abc"]


def test_a_control_frame_may_come_inside_a_character(parse):
    first, second = fragments(opcodes.TEXT, [b"\xe2\x82", b"\xac"])
    assert parse(first + ping(b"\xff") + second) == [Ping(b"\xff"), "\u20ac"]


def test_a_close_frame_between_fragments_ends_the_stream(parse):
    wire = text("a", fin=False) + peer.close(1001) + continuation(b"b")
    assert parse(wire) == [Close(WebSocketCloseReasonCode.GOING_AWAY)]


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize(
    "before", [b"", text("whole"), text("a", fin=False) + continuation(b"b"), ping(b"p")]
)
def test_a_lone_continuation_fails_with_1002(parse, before, fin):
    error = violation("Continuation sent with prior binary or text frame")
    assert parse(before + continuation(b"lone", fin=fin))[-1] == error


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("between", [b"", continuation(b"b", fin=False), ping(b"p")])
@pytest.mark.parametrize("first", [text("a", fin=False), binary(b"a", fin=False), binary(b"", fin=False)])
def test_a_new_message_inside_another_fails_with_1002(parse, first, between, fin):
    in_text = parse(first + between + text("new", fin=fin))
    in_binary = parse(first + between + binary(b"new", fin=fin))
    assert in_text[-1] == violation("A text frame must be the first in the message")
    assert in_binary[-1] == violation("A binary frame must be the first in the message")


def test_whether_a_message_is_under_way():
    assembler = MessageAssembler(10, 10)
    assert assembler.between_messages
    assembler.begin(False, opcodes.TEXT, 0)
    assert assembler.end() is None
    assert not assembler.between_messages
    assembler.begin(True, opcodes.CONTINUATION, 0)
    assert assembler.end() == ""
    assert assembler.between_messages


# Control frames (5.5)


@pytest.mark.parametrize("opcode", [opcodes.CLOSE, opcodes.PING, opcodes.PONG])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8"])
def test_a_fragmented_control_frame_fails_with_1002(parse, opcode, payload):
    assert parse(peer.frame(opcode, payload, fin=False)) == [
        violation("Control frames must not be fragmented")
    ]


@pytest.mark.parametrize("size", [126, 127, 65535, 65536, 1 << 40])
@pytest.mark.parametrize("opcode", [opcodes.PING, opcodes.PONG])
def test_a_ping_of_more_than_125_bytes_fails_with_1002_by_its_head(parse, opcode, size):
    assert parse(peer.frame(opcode, length=size)) == [
        violation("Control frames are only allowed to have payload up to and including 125 octets")
    ]


@pytest.mark.parametrize("size", [126, 65536])
def test_a_close_frame_of_more_than_125_bytes_fails_with_1002_by_its_head(parse, size):
    assert parse(peer.frame(opcodes.CLOSE, length=size)) == [
        violation("Close frames, which contain a payload, must be between 2 and 125 octets inclusive")
    ]


def test_a_ping_of_125_bytes_is_right(parse):
    payload = bytes(range(125))
    assert parse(ping(payload) + pong(payload)) == [Ping(payload)]


@pytest.mark.parametrize("payload", [b"", b"Hello", bytes(125)])
def test_a_pong_that_nobody_asked_for_is_not_an_event(parse, payload):
    """It needs no response (5.5.3)."""
    assert parse(pong(payload)) == []
    assert parse(pong(payload) + text("a", fin=False) + pong(payload) * 2 + continuation(b"b")) == ["ab"]


# Text (5.6, 8.1)

OFFENCES = [
    pytest.param(b"", 0x80, id="a continuation byte first"),
    pytest.param(b"", 0xBF, id="the last continuation byte first"),
    pytest.param(b"", 0xC0, id="C0, always overlong"),
    pytest.param(b"", 0xC1, id="C1, always overlong"),
    pytest.param(b"", 0xF5, id="F5, always over U+10FFFF"),
    pytest.param(b"", 0xFE, id="FE, in no text"),
    pytest.param(b"", 0xFF, id="FF, in no text"),
    pytest.param(b"\xe0", 0x80, id="overlong in three bytes"),
    pytest.param(b"\xe0", 0x9F, id="overlong in three bytes, the last"),
    pytest.param(b"\xf0", 0x80, id="overlong in four bytes"),
    pytest.param(b"\xf0", 0x8F, id="overlong in four bytes, the last"),
    pytest.param(b"\xed", 0xA0, id="a high surrogate"),
    pytest.param(b"\xed", 0xBF, id="a low surrogate"),
    pytest.param(b"\xf4", 0x90, id="over U+10FFFF"),
    pytest.param(b"\xc3", 0x28, id="two bytes, the second missing"),
    pytest.param(b"\xe2", 0x28, id="three bytes, the second missing"),
    pytest.param(b"\xe2\x82", 0x28, id="three bytes, the third missing"),
    pytest.param(b"\xf0\x9f\x98", 0x28, id="four bytes, the fourth missing"),
    pytest.param(b"\xf0\x9f\x98", 0xF0, id="four bytes, another begins"),
]
BEFORE = "\u03ba\U0001f600 ".encode()
AFTER = b"never looked at"


@pytest.mark.parametrize(("start", "offender"), OFFENCES)
def test_text_that_is_not_utf8_fails_with_the_byte_that_offends(parse, start, offender):
    good = BEFORE + start
    wire = peer.frame(opcodes.TEXT, good + bytes((offender,)) + AFTER)
    offending = len(wire) - len(AFTER) - 1
    assert parse(wire[:offending]) == []
    assert parse(wire[: offending + 1]) == [NOT_UTF8]
    assert parse(wire) == [NOT_UTF8]


@pytest.mark.parametrize(("start", "offender"), OFFENCES)
@pytest.mark.parametrize("fin", [True, False])
def test_it_fails_with_that_byte_in_a_later_fragment_too(parse, start, offender, fin):
    """The fragments end inside the character."""
    good = b"".join(
        (
            peer.frame(opcodes.TEXT, BEFORE + start[:1], fin=False),
            ping(b"\xff"),
            continuation(start[1:], fin=False),
            continuation(fin=False),
            continuation(length=100, fin=fin),
        )
    )
    assert parse(good) == [Ping(b"\xff")]
    assert parse(good + peer.masked(bytes((offender,)), peer.KEY)) == [Ping(b"\xff"), NOT_UTF8]


@pytest.mark.parametrize(
    "end", [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xed\x9f"]
)
def test_text_that_ends_inside_a_character_fails_with_its_last_byte(parse, end):
    whole = peer.frame(opcodes.TEXT, BEFORE + end)
    assert parse(whole[:-1]) == []
    assert parse(whole) == [NOT_UTF8]
    first, last = fragments(opcodes.TEXT, [BEFORE + end, b""])
    assert parse(first) == []
    assert parse(first + last) == [NOT_UTF8]


def test_the_next_text_starts_afresh(parse):
    """An incomplete last character of one message is not carried over into the next."""
    wire = peer.frame(opcodes.TEXT, b"\xe2\x82\xac", fin=False) + continuation() + text("a") + text("\u20ac")
    assert parse(wire) == ["\u20ac", "a", "\u20ac"]


def test_every_length_of_character_may_be_cut_anywhere(parse):
    message = "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    data = message.encode()
    for at in range(len(data) + 1):
        assert parse(b"".join(fragments(opcodes.TEXT, [data[:at], data[at:]]))) == [message]


def test_a_byte_order_mark_is_a_character_like_any_other(parse):
    assert parse(text("\ufeffa")) == ["\ufeffa"]


def test_binary_messages_and_pings_may_hold_any_bytes(parse):
    every = bytes(range(256))
    assert parse(binary(every) + ping(b"\xff\xc0")) == [every, Ping(b"\xff\xc0")]
    assert parse(b"".join(fragments(opcodes.BINARY, [b"\xff", b"\xc0"]))) == [b"\xff\xc0"]


# Limits


def test_a_message_of_the_greatest_size_is_right(parse):
    assert parse(binary(bytes(200)), max_message_size=200) == [bytes(200)]
    assert parse(b"".join(fragments(opcodes.TEXT, [b"a", b"b", b"c"])), max_message_size=3) == ["abc"]
    assert parse(text("") + binary(b""), max_message_size=0) == ["", b""]


@pytest.mark.parametrize("opcode", [opcodes.TEXT, opcodes.BINARY])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", [201, 65536, (1 << 63) - 1])
def test_a_message_that_is_too_large_fails_with_1009_by_its_head(parse, opcode, fin, size):
    assert parse(peer.frame(opcode, length=size, fin=fin), max_message_size=200) == [
        too_large("A message must be at most 200 bytes")
    ]


def test_the_size_of_a_message_is_that_of_its_fragments_together(parse):
    first = binary(bytes(150), fin=False) + ping(bytes(125)) + continuation(bytes(50), fin=False)
    assert parse(first + continuation(), max_message_size=200) == [Ping(bytes(125)), bytes(200)]
    assert parse(first + continuation(length=1), max_message_size=200) == [
        Ping(bytes(125)),
        too_large("A message must be at most 200 bytes"),
    ]


def test_the_size_is_a_messages_and_not_the_connections(parse):
    messages = binary(bytes(3)) + b"".join(fragments(opcodes.BINARY, [bytes(2), bytes(1)]))
    assert parse(messages * 3, max_message_size=3) == [bytes(3)] * 6


def test_the_size_of_text_is_that_of_its_bytes(parse):
    assert parse(text("\u20ac"), max_message_size=3) == ["\u20ac"]
    assert parse(text("\u20ac"), max_message_size=2) == [too_large("A message must be at most 2 bytes")]


def test_a_message_of_the_most_fragments_is_right(parse):
    pieces = fragments(opcodes.BINARY, [b"a", b"b", b"c"])
    wire = pieces[0] + ping() + pieces[1] + pong() + ping() + pieces[2]
    assert parse(wire * 2, max_fragments=3) == [Ping(b""), Ping(b""), b"abc"] * 2
    assert parse(binary(b"a") * 3, max_fragments=1) == [b"a"] * 3


@pytest.mark.parametrize("piece", [b"", b"a"])
def test_one_fragment_more_fails_with_1009_by_its_head(parse, piece):
    allowed = binary(piece, fin=False) + continuation(piece, fin=False) * 2
    assert parse(allowed, max_fragments=3) == []
    assert parse(allowed + continuation(length=5), max_fragments=3) == [
        too_large("A message must have at most 3 fragments")
    ]


# Memory

SIZE = 8 * 1024


def one_byte_fragments() -> list[bytes]:
    return [text("a", fin=False), *[continuation(b"b", fin=False)] * (SIZE - 1)]


def a_frame_byte_by_byte() -> list[bytes]:
    wire = peer.frame(opcodes.TEXT, "\u20ac".encode() * (SIZE // 3), length=SIZE + 1)
    return [wire[index : index + 1] for index in range(len(wire))]


def pings_within_a_message() -> list[bytes]:
    return [binary(b"a" * SIZE, fin=False), *[ping(bytes(125))] * 1000]


@pytest.mark.parametrize("reads", [one_byte_fragments, a_frame_byte_by_byte, pings_within_a_message])
def test_a_message_that_trickles_in_is_kept_in_about_its_size(backend, reads):
    reads = reads()
    feed_all(backend, reads[:100])
    tracemalloc.start()
    try:
        parser = feed_all(backend, reads)
        # What its end frees is what it keeps; Python and other threads may have allocated more.
        kept = tracemalloc.get_traced_memory()[0]
        del parser
        kept -= tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert SIZE / 2 < kept < SIZE * 5 / 4 + 1024


def feed_all(backend, reads: Iterable[bytes]):
    parser = backend.FrameParser(1 << 20, 1 << 17)
    for read in reads:
        parser.feed(read)
    return parser
