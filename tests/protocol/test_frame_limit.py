"""A feed that stops within a read, after a number of frames of any kind: nothing is lost or doubled."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.deflate import deflate_for
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.messages import Ping
from tests.protocol import peer
from tests.protocol.feeding import frames_at_a_time
from tests.protocol.streams import ANY_BYTES, FRAMES, KEYS, MESSAGES, conversations, pieces

DEFLATE = PerMessageDeflate(client_no_context_takeover=False)
LIMITS = st.integers(1, 5) | st.integers(1, 50)


def parser_of(backend, **limits):
    return backend.FrameParser(
        limits.get("max_message_size", 1 << 20), limits.get("max_fragments", 1000), deflate_for(DEFLATE)
    )


def compressed(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def of_kind(kind: str, count: int) -> list[bytes]:
    """Return the first ``count`` frames of an endless stream."""
    hello = peer.frame(opcodes.TEXT, compressed(b"Hello"), rsv=4)
    start = peer.frame(opcodes.TEXT, compressed(b"Hello")[:2], rsv=4, fin=False)
    cycles = {
        "empty messages": [peer.binary(b"")],
        "texts": [peer.text("Hello"), peer.text("F\u00fc\u00dfe")],
        "pings": [peer.ping(), peer.ping(b"?")],
        "pongs": [peer.pong(), peer.pong(bytes(125))],
        "empty fragments": [peer.text("a", fin=False), *[peer.continuation(fin=False)] * 30],
        "fragmented messages": [peer.text("a", fin=False), peer.pong(), peer.continuation(b"b")],
        "compressed messages": [hello],
        "compressed fragments": [start, peer.ping(b"!"), peer.continuation(compressed(b"Hello")[2:])],
        "large messages": [peer.binary(bytes(40_000)), peer.binary(bytes(70_000))],
        "large fragments": [peer.binary(bytes(40_000), fin=False), peer.continuation(bytes(40_000))],
        "all kinds": [peer.text("a"), peer.pong(), hello, peer.text("b", fin=False), peer.continuation()],
    }
    return [cycles[kind][index % len(cycles[kind])] for index in range(count)]


KINDS = [
    "empty messages",
    "texts",
    "pings",
    "pongs",
    "empty fragments",
    "fragmented messages",
    "compressed messages",
    "compressed fragments",
    "large messages",
    "large fragments",
    "all kinds",
]


@pytest.mark.parametrize("limit", [1, 2, 3, 15, 16, 17, 29, 30, 31])
@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_counts_whatever_its_kind(backend, kind, limit):
    """And as many frames are taken as are there and allowed."""
    frames = of_kind(kind, 30)
    parser = parser_of(backend)
    assert parser.feed(b"".join(frames), limit) == parser_of(backend).feed(b"".join(frames[:limit]))
    assert parser.taken == len(b"".join(frames[:limit]))


@pytest.mark.parametrize("limit", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_may_be_fed_from_where_it_stopped(backend, kind, limit):
    wire = b"".join(of_kind(kind, 30))
    assert frames_at_a_time(parser_of(backend), wire, limit) == parser_of(backend).feed(wire)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_limit_everything_is_taken(backend, kind):
    wire = b"".join(of_kind(kind, 30))
    parser = parser_of(backend)
    parser.feed(wire)
    assert parser.taken == len(wire)
    assert parser.feed(b"") == []
    assert parser.taken == 0


def test_a_frame_counts_where_it_ends(backend):
    """One that began in an earlier read, even with only a byte of its head, is the first in the next."""
    first, second = peer.text("first"), peer.text("second")
    for cut in range(1, len(first)):
        parser = parser_of(backend)
        assert parser.feed(first[:cut], 1) == []
        assert parser.taken == cut
        assert parser.feed(first[cut:] + second, 1) == ["first"]
        assert parser.taken == len(first) - cut
        assert parser.feed(second[:cut], 1) == []
        assert parser.feed(second[cut:], 1) == ["second"]


def test_the_part_of_an_unfinished_frame_that_is_there_is_taken(backend):
    parser = parser_of(backend)
    begun = peer.binary(bytes(100_000))[:70_000]
    assert parser.feed(peer.text("a") + begun, 2) == ["a"]
    assert parser.taken == len(peer.text("a")) + len(begun)


# The end of a stream

GOING_AWAY = Close(WebSocketCloseReasonCode.GOING_AWAY)


@pytest.mark.parametrize("within", [b"", peer.text("a", fin=False), peer.frame(1, b"", rsv=4, fin=False)])
@pytest.mark.parametrize("last", [peer.close(1001), b"\x81\x00", peer.frame(opcodes.PING, length=126)])
def test_everything_after_a_close_or_a_failure_is_taken_and_discarded(backend, within, last):
    late = peer.text("late") * 10_000
    wire = peer.text("a") * 2 + within + last + late
    events = parser_of(backend).feed(wire)
    assert events[:2] == ["a", "a"]
    parser = parser_of(backend)
    assert frames_at_a_time(parser, wire, 1) == events
    assert parser.taken == len(last + late)
    assert parser.feed(late, 1) == []
    assert parser.taken == len(late)


def test_a_close_frame_just_after_the_limit_waits(backend):
    parser = parser_of(backend)
    wire = peer.text("a") + peer.close(1001) + peer.text("late")
    assert parser.feed(wire, 1) == ["a"]
    assert parser.feed(wire[parser.taken :], 1) == [GOING_AWAY]


# In whatever pieces


@st.composite
def compressed_conversations(draw) -> bytes:
    """Draw a client's messages, some compressed, in fragments and with control frames between them."""
    frames = []
    for message in draw(st.lists(MESSAGES, max_size=5)):
        opcode = opcodes.TEXT if isinstance(message, str) else opcodes.BINARY
        payload = message.encode() if isinstance(message, str) else message
        rsv = draw(st.sampled_from((0, 4)))
        parts = draw(pieces(compressed(payload) if rsv else payload))
        for index, part in enumerate(parts):
            fin = index == len(parts) - 1
            kind = opcodes.CONTINUATION if index else opcode
            frames.append(peer.frame(kind, part, fin=fin, rsv=0 if index else rsv, key=draw(KEYS)))
            frames += draw(st.lists(st.sampled_from((peer.ping(b"?"), peer.pong(b"!"))), max_size=1))
    return b"".join(frames)


def fed(parser, reads: list[bytes], draw) -> list:
    """Return the events in ``reads``, with a separate limit for each call."""
    limit = st.shared(LIMITS, key="limit") if draw.draw(st.booleans()) else LIMITS
    return [event for read in reads for event in frames_at_a_time(parser, read, lambda: draw.draw(limit))]


@given(wire=conversations().map(lambda pair: pair[1]) | compressed_conversations(), draw=st.data())
def test_what_a_client_sends_is_received_however_it_is_cut_and_taken(backend, wire, draw):
    events = parser_of(backend).feed(wire)
    assert not any(isinstance(event, ProtocolError) for event in events)
    assert fed(parser_of(backend), draw.draw(pieces(wire)), draw) == events


@given(wire=ANY_BYTES, draw=st.data())
def test_how_any_bytes_are_cut_and_taken_does_not_matter(backend, wire, draw):
    events = backend.FrameParser(400, 3).feed(wire)
    assert fed(backend.FrameParser(400, 3), draw.draw(pieces(wire)), draw) == events


@given(wire=ANY_BYTES, draw=st.data())
def test_how_any_reads_are_taken_does_not_matter_if_messages_are_compressed(backend, wire, draw):
    """How they are cut may: what inflates to invalid text, and is corrupt later, fails for either reason."""
    reads = draw.draw(pieces(wire))
    limits = {"max_message_size": 400, "max_fragments": 3}
    parser = parser_of(backend, **limits)
    events = [event for read in reads for event in parser.feed(read)]
    assert fed(parser_of(backend, **limits), reads, draw) == events


@given(
    wire=st.lists(FRAMES, max_size=12).map(b"".join) | compressed_conversations(),
    limit=LIMITS,
    draw=st.data(),
)
def test_no_call_takes_more_frames_than_it_may_and_none_takes_fewer(backend, wire, limit, draw):
    """Until the end, after which everything is taken, a call stops after the last frame that it may take."""
    ends = ends_of_frames(wire)
    parser = parser_of(backend)
    position = 0
    for read in draw.draw(pieces(wire)):
        start = 0
        while start < len(read):
            events = parser.feed(read[start:], limit)
            if events and isinstance(events[-1], (Close, ProtocolError)):
                assert parser.taken == len(read) - start
                return
            ended = [end for end in ends if position < end <= position + parser.taken]
            start, position = start + parser.taken, position + parser.taken
            if len(ended) == limit:
                assert position == ended[-1]
            else:
                assert len(ended) < limit
                assert start == len(read)


def ends_of_frames(wire: bytes) -> list[int]:
    """Return where each of the frames of ``wire`` ends, right or wrong."""
    ends = [0]
    while ends[-1] < len(wire):
        second = wire[ends[-1] + 1]
        size = {126: 2, 127: 8}.get(second & 0x7F, 0)
        field = wire[ends[-1] + 2 : ends[-1] + 2 + size]
        length = int.from_bytes(field, "big") if size else second & 0x7F
        ends.append(ends[-1] + 2 + size + (4 if second & 0x80 else 0) + length)
    return ends[1:]


# An endpoint


def test_an_endpoint_counts_the_bytes_that_were_taken(backend):
    endpoint = backend.Endpoint(1 << 20, 1000)
    hello, ping = peer.text("Hello"), peer.ping(b"?")
    assert endpoint.receive(hello + ping + hello, 1) == ["Hello"]
    assert (endpoint.taken, endpoint.bytes_received, endpoint.messages_received) == (
        len(hello),
        len(hello),
        1,
    )
    assert endpoint.receive(ping + hello, 2) == [Ping(b"?"), "Hello"]
    assert endpoint.bytes_received == len(hello + ping + hello)
    assert endpoint.messages_received == 2


# What it costs


@pytest.mark.parametrize(
    "kind", ["empty messages", "texts", "pongs", "empty fragments", "compressed messages"]
)
def test_what_follows_the_limit_costs_nothing(backend, kind):
    """It is not copied for each call."""
    wire = memoryview(b"".join(of_kind(kind, 200_000)))
    parser = parser_of(backend, max_fragments=1 << 20)
    parser.feed(wire, 32)
    tracemalloc.start()
    try:
        parser.feed(wire[parser.taken :], 32)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 * 1024
