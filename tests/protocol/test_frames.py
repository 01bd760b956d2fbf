"""The framing of data (RFC 6455, section 5.2): heads, and frames in whatever pieces they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.errors import ProtocolError, too_large, violation
from geventkws.protocol.frames import encode_head
from geventkws.protocol.messages import Event, Ping
from tests.protocol import peer
from tests.protocol.streams import ANY_BYTES, conversations, pieces

UNMASKED = violation("Frames sent by a client must be masked")
NOT_MINIMAL = violation("The payload length must be encoded in the minimal number of bytes")
TOO_LARGE = too_large("A message must be at most 1048576 bytes")


def run(
    backend, reads: list[bytes], max_message_size: int = 1 << 20, max_fragments: int = 1 << 17
) -> list[Event]:
    """Return the events in these reads, each of which arrives in the same buffer as the one before."""
    parser = backend.FrameParser(max_message_size, max_fragments)
    buffer = bytearray(max(map(len, reads), default=0))
    events = []
    for read in reads:
        buffer[: len(read)] = read
        events += parser.feed(memoryview(buffer)[: len(read)])
        buffer[:] = b"\xff" * len(buffer)
    return events


# Whole frames


def test_the_examples_of_the_rfc(parse):
    hello = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    pong = bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert parse(hello + pong + hello) == ["Hello", "Hello"]


def test_text_is_a_str_and_everything_else_is_bytes(parse):
    text, binary, ping = parse(peer.text("t") + peer.binary(b"b") + peer.ping(b"i") + peer.pong(b"o"))
    assert (text, binary, ping) == ("t", b"b", Ping(b"i"))
    assert (type(text), type(binary), type(ping.payload)) == (str, bytes, bytes)


@pytest.mark.parametrize("size", [0, 1, 2, 124, 125, 126, 127, 255, 256, 65535, 65536, 65537])
def test_a_payload_of_every_length_form_is_read(parse, size):
    payload = bytes(index % 251 for index in range(size))
    assert parse(peer.binary(payload) + peer.text("next")) == [payload, "next"]


def test_empty_messages_are_messages(parse):
    assert parse(peer.text("") + peer.binary(b"") + peer.ping() + peer.pong()) == ["", b"", Ping(b"")]


def test_every_frame_has_a_masking_key_of_its_own(parse):
    keys = [b"\x00\x00\x00\x00", b"\xff\x00\xff\x00", b"\x01\x02\x03\x04"]
    assert parse(b"".join(peer.text("Hello", key=key) for key in keys)) == ["Hello"] * 3


def test_a_frame_is_an_event_with_its_last_byte_and_not_before(parse):
    data = peer.text("Hello")
    assert parse(data[:-1]) == []
    assert parse(data) == ["Hello"]


def test_an_empty_frame_is_an_event_with_the_last_byte_of_its_head(parse):
    data = peer.ping()
    assert parse(data[:-1]) == []
    assert parse(data) == [Ping(b"")]


def test_an_empty_read_is_not_an_event(backend):
    parser = backend.FrameParser(10, 10)
    assert parser.feed(b"") == []
    assert [parser.feed(data) for data in (peer.text("a")[:3], b"", peer.text("a")[3:])] == [[], [], ["a"]]


# Lengths


def test_all_64_bits_of_a_length_are_read(parse):
    """Read as 32 bits, it would be a message of five bytes."""
    data = peer.binary(b"Hello", length=(1 << 32) + 5, length_bits=64)
    assert parse(data) == [TOO_LARGE]
    assert parse(data, max_message_size=1 << 62) == []


@pytest.mark.parametrize("length", [1 << 32, (1 << 62) + 1, (1 << 63) - 1])
def test_a_length_of_up_to_63_bits_is_a_length(parse, length):
    data = peer.binary(b"", length=length)
    assert parse(data, max_message_size=(1 << 63) - 1) == []
    assert parse(data) == [TOO_LARGE]


@pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
def test_the_most_significant_bit_of_a_64_bit_length_must_be_0(parse, length):
    assert parse(peer.binary(b"", length=length), max_message_size=1 << 65) == [
        violation("The most significant bit of a 64-bit payload length must be 0")
    ]


@pytest.mark.parametrize(
    ("size", "bits"), [(0, 16), (1, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)]
)
def test_a_length_in_more_bytes_than_it_needs_fails_with_1002(parse, size, bits):
    assert parse(peer.binary(bytes(size), length_bits=bits)) == [NOT_MINIMAL]
    assert parse(peer.binary(b"", length=size, length_bits=bits)) == [NOT_MINIMAL]


@pytest.mark.parametrize(("size", "bits"), [(126, 16), (65535, 16), (65536, 64)])
def test_the_shortest_length_of_each_form_is_right(parse, size, bits):
    assert parse(peer.binary(bytes(size), length_bits=bits)) == [bytes(size)]


# Masking, reserved bits and opcodes


@pytest.mark.parametrize("opcode", sorted(opcodes.ASSIGNED))
@pytest.mark.parametrize("payload", [b"", b"Hello", bytes(126), bytes(65536)])
def test_a_frame_that_is_not_masked_fails_with_1002(parse, opcode, payload):
    assert parse(peer.frame(opcode, payload, key=None)) == [UNMASKED]


def test_a_missing_mask_is_detected_in_the_first_two_bytes(parse):
    assert parse(b"\x81") == []
    assert parse(b"\x81\x00") == [UNMASKED]
    assert parse(b"\x81\x7f") == [UNMASKED]


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", sorted(opcodes.ASSIGNED))
def test_a_reserved_bit_without_an_extension_fails_with_1002(parse, opcode, rsv):
    error = violation("Reserved bits must be 0 unless an extension that uses them was negotiated")
    assert parse(peer.frame(opcode, b"", rsv=rsv)) == [error]
    assert parse(peer.frame(opcode, b"", rsv=rsv)[:2]) == [error]


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_fails_with_1002(parse, opcode, fin):
    error = violation(f"Parsed a frame with an invalid operation code of {opcode}")
    assert parse(peer.frame(opcode, b"", fin=fin)) == [error]
    assert parse(peer.frame(opcode, b"", fin=fin, length=126)) == [error]
    assert parse(peer.text("a", fin=False) + peer.frame(opcode, b"b", fin=fin)) == [error]


# The end of a stream


@pytest.mark.parametrize(
    ("last", "event"),
    [
        (peer.close(1000, b"bye"), Close(WebSocketCloseReasonCode.NORMAL, "bye")),
        (peer.frame(opcodes.CLOSE), Close()),
        (b"\x81\x00", UNMASKED),
        (peer.continuation(b"a"), violation("Continuation sent with prior binary or text frame")),
        (peer.close(1005), violation("Close frames must not carry the code 1005")),
    ],
)
def test_everything_after_a_close_or_a_failure_is_ignored(parse, last, event):
    assert parse(last + peer.text("late") + peer.close(1000) + b"\xff\xff\xff") == [event]


@pytest.mark.parametrize("last", [peer.close(1000), b"\x81\x00"])
def test_later_reads_are_ignored_too(backend, last):
    parser = backend.FrameParser(10, 10)
    assert len(parser.feed(last)) == 1
    assert parser.feed(peer.text("late")) == []
    assert parser.feed(b"\x00\x00") == []


@pytest.mark.parametrize(
    "offence", [b"\x81\x00", peer.continuation(b"a"), peer.text("x" * 11), peer.close(0)]
)
def test_messages_that_are_whole_before_an_offence_are_delivered_first(parse, offence):
    good = peer.text("a") + peer.ping(b"b") + peer.binary(b"c", fin=False) + peer.continuation(b"d")
    *events, error = parse(good + offence, max_message_size=10)
    assert events == ["a", Ping(b"b"), b"cd"]
    assert isinstance(error, ProtocolError)


@pytest.mark.parametrize(
    "offence", [b"\x81\x00", peer.frame(opcodes.TEXT, b"\xff"), peer.close(1000, b"\xff")]
)
def test_a_failure_keeps_nothing_of_what_was_read_alive(parse, offence):
    (error,) = parse(offence)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


# In whatever pieces


@given(conversation=conversations(), draw=st.data())
def test_what_a_client_sends_is_received_however_it_is_fragmented_and_cut(backend, conversation, draw):
    events, wire = conversation
    assert run(backend, [wire]) == events
    assert run(backend, draw.draw(pieces(wire, most=20))) == events


@given(data=ANY_BYTES, draw=st.data())
def test_no_bytes_raise_and_how_they_are_cut_does_not_matter(backend, data, draw):
    limits = {"max_message_size": 400, "max_fragments": 3}
    events = run(backend, [data], **limits)
    assert run(backend, draw.draw(pieces(data, most=20)), **limits) == events
    assert run(backend, [bytes((byte,)) for byte in data], **limits) == events
    final = [isinstance(event, (Close, ProtocolError)) for event in events]
    assert not any(final[:-1]), "a close or a failure is the last event"


# Heads that a server sends


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, "82 00"),
        (125, "82 7d"),
        (126, "82 7e 00 7e"),
        (65535, "82 7e ff ff"),
        (65536, "82 7f 00 00 00 00 00 01 00 00"),
        ((1 << 63) - 1, "82 7f 7f ff ff ff ff ff ff ff"),
    ],
)
def test_a_head_is_encoded_in_the_shortest_length_form(length, head):
    assert encode_head(opcodes.BINARY, length) == bytes.fromhex(head)


def test_a_fragments_head_has_no_fin():
    assert encode_head(opcodes.TEXT, 3, fin=False) == b"\x01\x03"
    assert encode_head(opcodes.CONTINUATION, 2) == b"\x80\x02"
