"""Compressed messages (RFC 7692, sections 6 and 7.2): received, sent, and what they may cost at most."""

from __future__ import annotations

import gc
import json
import random
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol import deflate, opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.deflate import RSV1, Deflate, compress_alone, deflate_for, fastest_zlib
from geventkws.protocol.endpoint import Broadcast
from geventkws.protocol.errors import ProtocolError, invalid_text, too_large, violation
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.messages import Event, Ping
from tests.cost import linear_time
from tests.protocol import peer
from tests.protocol.streams import KEYS, MESSAGES, pieces

ALONE = PerMessageDeflate(threshold=0)
"""No context is taken over."""

KEEPING = PerMessageDeflate(threshold=0, server_no_context_takeover=False, client_no_context_takeover=False)
"""Both sides take over context."""

TAIL = b"\x00\x00\xff\xff"
NOT_DEFLATE = ProtocolError(invalid_text("").code, "A compressed message must be valid DEFLATE data")
NOT_UTF8 = invalid_text("A text message must be valid UTF-8")
MISPLACED_RSV1 = violation("Only the first frame of a message may say by RSV1 that it is compressed")
UNEXPECTED_RSV = violation("Reserved bits must be 0 unless an extension that uses them was negotiated")
HELLO = bytes.fromhex("f2 48 cd c9 c9 07 00")
"""The RFC's own compressed "Hello" (7.2.3.1)."""


class Client:
    """A client's compressor and decompressor, with zlib."""

    def __init__(self, bits: int = 15, keeps_context: bool = True) -> None:
        self.bits = bits
        self.flush = zlib.Z_SYNC_FLUSH if keeps_context else zlib.Z_FULL_FLUSH
        self.compressor = zlib.compressobj(wbits=-bits)
        self.decompressor = zlib.decompressobj(wbits=-bits)

    def compress(self, data: bytes) -> bytes:
        compressed = self.compressor.compress(data) + self.compressor.flush(self.flush)
        return compressed.removesuffix(TAIL) or b"\x00"

    def decompress(self, data: bytes) -> bytes:
        """Inflate as a small client would, for which the size of the window matters."""
        result, rest = b"", data + TAIL
        while True:
            piece = self.decompressor.decompress(rest, 64)
            result, rest = result + piece, self.decompressor.unconsumed_tail
            if len(piece) < 64 and not rest:
                return result


def compressed(data: bytes) -> bytes:
    return Client().compress(data)


def rsv1(opcode: int, payload: bytes, **fields) -> bytes:
    return peer.frame(opcode, payload, rsv=4, **fields)


def server_messages(data: bytes) -> list[tuple[bool, int, bytes]]:
    """Return (compressed, opcode, payload) of each frame in a server's bytes."""
    messages = []
    while data:
        is_compressed, opcode = bool(data[0] & RSV1), data[0] & 0x0F
        size = {126: 4, 127: 10}.get(data[1], 2)
        end = size + (data[1] if size == 2 else int.from_bytes(data[2:size], "big"))
        (frame,) = peer.server_frames(bytes((data[0] & ~RSV1,)) + data[1:end])
        messages.append((is_compressed, opcode, frame.payload))
        data = data[end:]
    return messages


@pytest.fixture(params=["kept", "alone"])
def parameters(request: pytest.FixtureRequest) -> PerMessageDeflate:
    return {"kept": KEEPING, "alone": ALONE}[request.param]


@pytest.fixture
def receive(backend, chunked):
    """A function that returns the events in a client's bytes on a connection with permessage-deflate."""

    def receive(
        data: bytes, parameters: PerMessageDeflate = ALONE, max_message_size: int = 1 << 20
    ) -> list[Event]:
        parser = backend.FrameParser(max_message_size, 1 << 17, deflate_for(parameters))
        return [event for chunk in chunked(data) for event in parser.feed(chunk)]

    return receive


# Received: the RFC's examples (7.2.3)


def test_one_block(receive, parameters):
    assert receive(rsv1(opcodes.TEXT, HELLO), parameters) == ["Hello"]


def test_one_block_in_two_frames(receive, parameters):
    wire = rsv1(opcodes.TEXT, HELLO[:3], fin=False) + peer.ping() + peer.continuation(HELLO[3:])
    assert receive(wire, parameters) == [Ping(b""), "Hello"]


def test_a_message_that_refers_to_the_one_before(receive):
    again = bytes.fromhex("f2 00 11 00 00")
    wire = rsv1(opcodes.TEXT, HELLO) + rsv1(opcodes.TEXT, again)
    assert receive(wire, KEEPING) == ["Hello", "Hello"]
    assert receive(wire, ALONE) == ["Hello", NOT_DEFLATE]


def test_a_block_without_compression(receive, parameters):
    block = bytes.fromhex("00 05 00 fa ff 48 65 6c 6c 6f 00")
    assert receive(rsv1(opcodes.TEXT, block) * 2, parameters) == ["Hello", "Hello"]


def test_a_final_block(receive, parameters):
    block = bytes.fromhex("f3 48 cd c9 c9 07 00 00")
    wire = rsv1(opcodes.TEXT, block) + rsv1(opcodes.TEXT, HELLO) + rsv1(opcodes.TEXT, block)
    assert receive(wire, parameters) == ["Hello"] * 3


def test_a_message_may_refer_to_one_that_ended_with_a_final_block(receive):
    block, again = bytes.fromhex("f3 48 cd c9 c9 07 00 00"), bytes.fromhex("f2 00 11 00 00")
    assert receive(rsv1(opcodes.TEXT, block) + rsv1(opcodes.TEXT, again), KEEPING) == ["Hello", "Hello"]


def test_two_blocks_in_one_message(receive, parameters):
    blocks = bytes.fromhex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")
    assert receive(rsv1(opcodes.TEXT, blocks), parameters) == ["Hello"]


def test_an_empty_message(receive, parameters):
    wire = rsv1(opcodes.TEXT, b"\x00") + rsv1(opcodes.BINARY, b"\x00") + rsv1(opcodes.TEXT, b"\x02\x00")
    assert receive(wire, parameters) == ["", b"", ""]


def test_an_empty_last_fragment(receive, parameters):
    wire = rsv1(opcodes.TEXT, b"", fin=False) + peer.continuation(HELLO, fin=False) + peer.continuation()
    assert receive(wire * 2, parameters) == ["Hello", "Hello"]


# Received: everything else


def test_many_final_blocks_are_one_message(receive, parameters):
    final = bytes.fromhex("f3 48 cd c9 c9 07 00")
    assert receive(rsv1(opcodes.BINARY, final * 100 + b"\x00"), parameters) == [b"Hello" * 100]


def test_what_follows_a_final_block_cannot_refer_to_what_precedes_it(receive, parameters):
    final, again = bytes.fromhex("f3 48 cd c9 c9 07 00"), bytes.fromhex("f2 00 11 00 00")
    assert receive(rsv1(opcodes.TEXT, final + again), parameters) == [NOT_DEFLATE]


def test_messages_that_are_not_compressed_may_be_among_those_that_are(receive, parameters):
    client = Client(keeps_context=parameters is KEEPING)
    first, second = client.compress(b"a" * 1000), client.compress(b"a" * 1000)
    wire = (
        rsv1(opcodes.BINARY, first)
        + peer.text("as it is")
        + peer.text("in ", fin=False)
        + peer.continuation(b"pieces")
        + rsv1(opcodes.TEXT, second)
        + peer.close(1000)
    )
    *messages, last = receive(wire, parameters)
    assert messages == [b"a" * 1000, "as it is", "in pieces", "a" * 1000]
    assert isinstance(last, Close)


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 131072, 300_000])
def test_a_message_of_every_size_is_inflated(backend, size):
    messages = [bytes(size), random.Random(size).randbytes(size)]
    wire = b"".join(rsv1(opcodes.BINARY, compressed(message)) for message in messages)
    assert receive_in_reads(backend, wire, ALONE) == messages


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("keeps_context", [True, False])
def test_a_client_may_have_any_window(backend, bits, keeps_context):
    client = Client(bits, keeps_context)
    chance = random.Random(bits)
    words = [chance.randbytes(100) for _ in range(400)]
    messages = [b"".join(chance.choices(words, k=chance.randrange(300))) for _ in range(6)]
    wire = b"".join(rsv1(opcodes.BINARY, client.compress(message)) for message in messages)
    parameters = PerMessageDeflate(client_max_window_bits=bits, client_no_context_takeover=not keeps_context)
    assert receive_in_reads(backend, wire, parameters) == messages


def receive_in_reads(backend, wire: bytes, parameters: PerMessageDeflate) -> list[Event]:
    parser = backend.FrameParser(1 << 20, 1 << 17, deflate_for(parameters))
    reads = (wire[start : start + 5003] for start in range(0, len(wire), 5003))
    return [event for read in reads for event in parser.feed(read)]


def test_no_more_than_the_agreed_window_is_kept(receive):
    data = random.Random(1).randbytes(300)
    client = Client()
    wire = b"".join(rsv1(opcodes.BINARY, client.compress(each)) for each in (data, bytes(300), data))
    options = {"client_no_context_takeover": False}
    assert receive(wire, PerMessageDeflate(client_max_window_bits=10, **options)) == [data, bytes(300), data]
    assert receive(wire, PerMessageDeflate(client_max_window_bits=8, **options)) == [
        data,
        bytes(300),
        NOT_DEFLATE,
    ]


@given(messages=st.lists(MESSAGES | st.just("ab" * 40_000), max_size=5), draw=st.data())
def test_what_a_client_compresses_is_received_however_it_is_fragmented_and_cut(backend, messages, draw):
    parameters = draw.draw(st.sampled_from([KEEPING, ALONE]))
    client = Client(keeps_context=parameters is KEEPING)
    wire = b""
    for message in messages:
        opcode = opcodes.TEXT if isinstance(message, str) else opcodes.BINARY
        payload = client.compress(message.encode() if isinstance(message, str) else message)
        parts = draw.draw(pieces(payload))
        for index, part in enumerate(parts):
            wire += peer.frame(
                opcodes.CONTINUATION if index else opcode,
                part,
                fin=index == len(parts) - 1,
                rsv=0 if index else 4,
                key=draw.draw(KEYS),
            )
    parser = backend.FrameParser(1 << 20, 1 << 17, deflate_for(parameters))
    assert [event for read in draw.draw(pieces(wire, 20)) for event in parser.feed(read)] == messages


# RSV bits (RFC 6455, 5.2; RFC 7692, 6)


@pytest.mark.parametrize("opcode", [opcodes.CLOSE, opcodes.PING, opcodes.PONG])
def test_rsv1_on_a_control_frame_fails_with_1002(receive, opcode):
    assert receive(rsv1(opcode, b"")) == [MISPLACED_RSV1]
    assert receive(rsv1(opcodes.TEXT, HELLO, fin=False) + rsv1(opcode, b"")) == [MISPLACED_RSV1]


@pytest.mark.parametrize("fin", [True, False])
def test_rsv1_on_a_continuation_fails_with_1002(receive, fin):
    for first in (rsv1(opcodes.TEXT, HELLO[:3], fin=False), peer.text("a", fin=False), b""):
        assert receive(first + rsv1(opcodes.CONTINUATION, HELLO[3:], fin=fin)) == [MISPLACED_RSV1]


def test_a_misplaced_rsv1_is_detected_in_the_first_two_bytes(receive):
    assert receive(b"\xc9") == []
    assert receive(b"\xc9\x80") == [MISPLACED_RSV1]


@pytest.mark.parametrize("opcode", [3, 7, 11, 15])
def test_rsv1_does_not_make_a_reserved_opcode_valid(receive, opcode):
    (error,) = receive(rsv1(opcode, b""))
    assert error.code == 1002


def test_a_compressed_message_inside_another_fails_with_1002(receive):
    for first in (rsv1(opcodes.TEXT, HELLO, fin=False), peer.text("a", fin=False)):
        assert receive(first + rsv1(opcodes.TEXT, HELLO)) == [
            violation("A text frame must be the first in the message")
        ]


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("opcode", sorted(opcodes.ASSIGNED))
def test_the_other_reserved_bits_still_fail_with_1002(receive, opcode, rsv):
    assert receive(peer.frame(opcode, b"", rsv=rsv)) == [UNEXPECTED_RSV]


@pytest.mark.parametrize("opcode", sorted(opcodes.ASSIGNED))
def test_rsv1_that_was_not_negotiated_fails_with_1002(parse, opcode):
    assert parse(rsv1(opcode, HELLO)) == [UNEXPECTED_RSV]


# Corrupt data

REFERENCE = bytes.fromhex("f2 00 11 00 00")
CORRUPT = [
    pytest.param(b"", id="nothing, not even an empty block's first byte"),
    pytest.param(b"\x06", id="a block of the reserved type"),
    pytest.param(REFERENCE, id="a reference to what was never there"),
    pytest.param(bytes.fromhex("00 05 00 00 00 48 65 6c 6c 6f 00"), id="a length and no complement of it"),
    pytest.param(bytes.fromhex("00 ff ff 00 00 61"), id="a block without compression, cut short"),
    pytest.param(HELLO[:-2], id="a block cut short"),
    pytest.param(HELLO[:-1], id="the last byte lost"),
    pytest.param(HELLO + TAIL, id="with the four bytes that are to be left out, and no block behind"),
    pytest.param(bytes.fromhex("f3 48 cd c9 c9 07 00"), id="a final block and no empty block behind"),
    pytest.param(zlib.compress(b"Hello"), id="with zlib's head"),
    pytest.param(b"Hello, I was never compressed", id="not compressed"),
    pytest.param(b"\xff" * 50, id="all ones"),
]


@pytest.mark.parametrize("data", CORRUPT)
def test_a_corrupt_message_fails_with_1007(receive, parameters, data):
    assert receive(rsv1(opcodes.BINARY, data), parameters) == [NOT_DEFLATE]
    assert receive(rsv1(opcodes.BINARY, data) + peer.text("late"), parameters) == [NOT_DEFLATE]


@pytest.mark.parametrize("data", CORRUPT)
def test_a_corrupt_text_message_fails_with_1007_for_one_reason_or_the_other(receive, parameters, data):
    (error,) = receive(rsv1(opcodes.TEXT, data), parameters)
    assert error in (NOT_DEFLATE, NOT_UTF8)


def test_a_corrupt_message_fails_before_its_end(receive):
    wire = rsv1(opcodes.TEXT, b"\x06" + bytes(100), fin=False, length=1000)
    assert receive(wire) == [NOT_DEFLATE]


@given(data=st.binary(max_size=80), flips=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255))))
def test_no_bytes_raise_and_how_they_are_cut_does_not_matter(backend, data, flips):
    payload = bytearray(compressed(data * 5 + b"x" * 100) + data)
    for at, value in flips:
        payload[at % len(payload)] = value
    wire = rsv1(opcodes.TEXT, HELLO) + rsv1(opcodes.BINARY, bytes(payload)) + peer.text("end")

    def events(reads: list[bytes]) -> list[Event]:
        parser = backend.FrameParser(400, 10, deflate_for(KEEPING))
        return [event for read in reads for event in parser.feed(read)]

    assert events([wire]) == events([bytes((byte,)) for byte in wire])


@pytest.mark.parametrize("limit", [400, 100_000])
def test_what_is_too_large_and_then_corrupt_is_too_large_however_it_is_cut(receive, limit):
    payload = compressed(bytes(2 * limit)) + b"\xff" * 20
    fails = too_large(f"A message must be at most {limit} bytes")
    assert receive(rsv1(opcodes.BINARY, payload), max_message_size=limit) == [fails]


# Text, checked as it is inflated


@pytest.mark.parametrize("fin", [True, False])
def test_inflated_text_that_is_not_utf8_fails_before_the_message_ends(receive, fin):
    client = zlib.compressobj(wbits=-15)
    start = client.compress(b"good \xff") + client.flush(zlib.Z_SYNC_FLUSH)
    assert receive(rsv1(opcodes.TEXT, start, length=1000, fin=fin)) == [NOT_UTF8]


def test_a_character_may_be_inflated_in_pieces(receive):
    client = zlib.compressobj(wbits=-15)
    parts = [
        client.compress(bytes((byte,))) + client.flush(zlib.Z_SYNC_FLUSH) for byte in "\U0001f600".encode()
    ]
    wire = rsv1(opcodes.TEXT, parts[0], fin=False)
    wire += b"".join(peer.continuation(part, fin=False) for part in parts[1:])
    assert receive(wire + peer.continuation(b"\x00")) == ["\U0001f600"]


def test_inflated_text_that_ends_inside_a_character_fails(receive):
    assert receive(rsv1(opcodes.TEXT, compressed(b"cut \xe2\x82"))) == [NOT_UTF8]


def test_inflated_binary_messages_may_hold_any_bytes(receive):
    every = bytes(range(256))
    assert receive(rsv1(opcodes.BINARY, compressed(every))) == [every]


# Limits

TOO_LARGE = too_large("A message must be at most 1048576 bytes")


def test_the_size_of_a_message_is_what_it_inflates_to(receive):
    assert receive(rsv1(opcodes.BINARY, compressed(bytes(200))), max_message_size=200) == [bytes(200)]
    assert receive(rsv1(opcodes.BINARY, compressed(bytes(201))), max_message_size=200) == [
        too_large("A message must be at most 200 bytes")
    ]


def test_a_message_that_compression_made_larger_may_still_be_of_the_greatest_size(receive):
    data = random.Random(2).randbytes(200)
    payload = compressed(data)
    assert len(payload) > 200
    assert receive(rsv1(opcodes.BINARY, payload), max_message_size=200) == [data]


def test_the_size_counts_across_fragments_and_messages_are_counted_alone(receive):
    client = Client()
    wire = b""
    for _ in range(3):
        payload = client.compress(bytes(150))
        wire += rsv1(opcodes.BINARY, payload[:1], fin=False) + peer.continuation(payload[1:])
    assert receive(wire, KEEPING, max_message_size=150) == [bytes(150)] * 3
    assert receive(wire, KEEPING, max_message_size=149) == [too_large("A message must be at most 149 bytes")]


def test_a_message_is_too_large_before_it_ends(receive):
    client = zlib.compressobj(wbits=-15)
    start = client.compress(bytes(300)) + client.flush(zlib.Z_SYNC_FLUSH)
    assert receive(rsv1(opcodes.BINARY, start, fin=False, length=1000), max_message_size=200) == [
        too_large("A message must be at most 200 bytes")
    ]


def bomb_in_one_frame(bomb: bytes) -> Iterator[bytes]:
    yield rsv1(opcodes.BINARY, bomb)


def bomb_in_fragments(bomb: bytes) -> Iterator[bytes]:
    yield rsv1(opcodes.BINARY, b"", fin=False)
    for start in range(0, len(bomb), 100):
        yield peer.continuation(bomb[start : start + 100], fin=False)


def bomb_of_text(bomb: bytes) -> Iterator[bytes]:
    yield rsv1(opcodes.TEXT, bomb)


def bomb_after_a_message(bomb: bytes) -> Iterator[bytes]:
    yield rsv1(opcodes.BINARY, compressed(bytes(100_000)))
    yield rsv1(opcodes.BINARY, bomb)


@pytest.mark.parametrize("reads", [bomb_in_one_frame, bomb_in_fragments, bomb_of_text, bomb_after_a_message])
def test_a_bomb_of_1_gib_fails_with_1009_and_takes_little_more_memory_than_a_message(
    backend, parameters, reads
):
    bomb = compressed_zeros(1 << 30)
    assert len(bomb) * 1000 < 1 << 30
    wire = [read[at : at + 65536] for read in reads(bomb) for at in range(0, len(read), 65536)]
    parser = backend.FrameParser(1 << 20, 1 << 17, deflate_for(parameters))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        events = [event for read in wire for event in parser.feed(read)]
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert events[-1] == TOO_LARGE
    assert peak < 2 << 20, "the message so far, zlib's window, one piece inflated and one read"


def compressed_zeros(size: int) -> bytes:
    """Return ``size`` zeros, compressed about 1000 to 1, made by repeating one part."""
    client = zlib.compressobj(wbits=-15)
    part = client.compress(bytes(1 << 20)) + client.flush(zlib.Z_FULL_FLUSH)
    return (part * (size >> 20)).removesuffix(TAIL)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x03\x00", id="final, empty"),
        pytest.param(b"\x00" + TAIL, id="empty"),
    ],
)
def test_a_flood_of_tiny_blocks_is_inflated_in_linear_time(backend, block):
    """It would not be if the unused rest were copied again for each block."""
    parser = backend.FrameParser(1 << 20, 10, deflate_for(ALONE))
    wire = rsv1(opcodes.BINARY, block * ((1 << 21) // len(block)) + b"\x00")
    with linear_time():
        assert parser.feed(wire) == [b""]


# Sent


def sent(endpoint) -> list[tuple[bool, int, bytes]]:
    data = b"".join(endpoint.output)
    assert endpoint.output_size == len(data)
    return server_messages(data)


def make_endpoint(backend, parameters: PerMessageDeflate | None):
    return backend.Endpoint(1 << 20, 1 << 17, deflate_for(parameters))


JSON = json.dumps([{"id": number, "name": f"user {number}", "active": True} for number in range(60)]).encode()


@pytest.fixture(params=["zlib", "the fastest"])
def compressing_module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compress with zlib, and with whatever else is installed."""
    monkeypatch.setattr(deflate, "fast_zlib", zlib if request.param == "zlib" else fastest_zlib())
    monkeypatch.setattr(deflate, "_idle", {})


@pytest.mark.usefixtures("compressing_module")
@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("level", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_sent_can_be_inflated_by_a_client_with_the_agreed_window(backend, bits, level, alone):
    chance = random.Random(bits)
    words = [chance.randbytes(60) for _ in range(40)]
    messages = [b"".join(chance.choices(words, k=chance.randrange(1, 80))) for _ in range(8)] + [
        bytes(100_000)
    ] * 2
    endpoint = make_endpoint(
        backend,
        PerMessageDeflate(
            level=level, threshold=0, server_max_window_bits=bits, server_no_context_takeover=alone
        ),
    )
    for message in messages:
        endpoint.send(opcodes.BINARY, message)
    client = Client(bits)
    for (is_compressed, opcode, payload), message in zip(sent(endpoint), messages, strict=True):
        assert opcode == opcodes.BINARY
        if alone:
            client = Client(bits)
        assert (client.decompress(payload) if is_compressed else payload) == message
        assert is_compressed or alone


def test_without_context_the_same_message_is_always_the_same_bytes(backend):
    endpoint = make_endpoint(backend, ALONE)
    for _ in range(3):
        endpoint.send(opcodes.TEXT, JSON)
    assert len(set(sent(endpoint))) == 1


def test_with_context_a_message_refers_to_those_before_it(backend):
    endpoint = make_endpoint(backend, KEEPING)
    for _ in range(2):
        endpoint.send(opcodes.TEXT, JSON)
    first, second = (len(payload) for _, _, payload in sent(endpoint))
    assert second < first / 3


def test_hello_is_sent_as_the_rfc_says(backend):
    endpoint = make_endpoint(backend, KEEPING)
    endpoint.send(opcodes.TEXT, b"Hello")
    assert sent(endpoint) == [(True, opcodes.TEXT, HELLO)]


@pytest.mark.parametrize("size", [2, 125, 126, 65535, 65536, 300_000])
def test_a_compressed_message_of_every_size_is_one_frame(backend, size):
    data = random.Random(size).randbytes(size // 2).hex().encode()
    endpoint = make_endpoint(backend, KEEPING)
    endpoint.send(opcodes.TEXT, data)
    ((is_compressed, _, payload),) = sent(endpoint)
    assert is_compressed
    assert Client().decompress(payload) == data


def test_a_message_below_the_threshold_is_not_compressed(backend):
    endpoint = make_endpoint(backend, PerMessageDeflate(threshold=100))
    endpoint.send(opcodes.TEXT, b"a" * 99)
    endpoint.send(opcodes.TEXT, b"a" * 100)
    assert [is_compressed for is_compressed, _, _ in sent(endpoint)] == [False, True]


def test_a_message_may_be_compressed_or_not_whatever_the_threshold(backend):
    endpoint = make_endpoint(backend, PerMessageDeflate(threshold=100))
    endpoint.send(opcodes.TEXT, b"a" * 99, True)
    endpoint.send(opcodes.TEXT, b"a" * 100, False)
    endpoint.send(opcodes.TEXT, b"a" * 100, None)
    assert [is_compressed for is_compressed, _, _ in sent(endpoint)] == [True, False, True]


def test_nothing_is_compressed_unless_that_was_negotiated(backend):
    endpoint = backend.Endpoint(1 << 20, 1 << 17)
    endpoint.send(opcodes.TEXT, JSON, True)
    assert sent(endpoint) == [(False, opcodes.TEXT, JSON)]
    assert make_endpoint(backend, None).deflate is None


def test_an_empty_message_is_never_compressed(backend, parameters):
    endpoint = make_endpoint(backend, parameters)
    endpoint.send(opcodes.TEXT, b"", True)
    assert sent(endpoint) == [(False, opcodes.TEXT, b"")]


def test_a_message_that_does_not_become_smaller_is_sent_as_it_is(backend):
    noise = random.Random(3).randbytes(1000)
    endpoint = make_endpoint(backend, ALONE)
    endpoint.send(opcodes.BINARY, noise, True)
    assert sent(endpoint) == [(False, opcodes.BINARY, noise)]


def test_with_context_it_is_compressed_since_later_messages_refer_to_it(backend):
    noise = random.Random(3).randbytes(1000)
    endpoint = make_endpoint(backend, KEEPING)
    endpoint.send(opcodes.BINARY, noise)
    endpoint.send(opcodes.BINARY, noise)
    client = Client()
    (_, _, first), (_, _, second) = sent(endpoint)
    assert len(second) < 100
    assert [client.decompress(first), client.decompress(second)] == [noise, noise]


def test_control_frames_are_never_compressed(backend, parameters):
    endpoint = make_endpoint(backend, parameters)
    endpoint.ping(b"a" * 125)
    endpoint.pong(b"a" * 125)
    endpoint.close(1000, "a" * 123)
    assert [is_compressed for is_compressed, _, _ in sent(endpoint)] == [False, False, False]


def test_nothing_is_compressed_after_a_close_frame(backend):
    endpoint = make_endpoint(backend, KEEPING)
    endpoint.close(1000)
    endpoint.send(opcodes.TEXT, JSON)
    assert [opcode for _, opcode, _ in sent(endpoint)] == [opcodes.CLOSE]


@given(messages=st.lists(st.binary(max_size=300), max_size=6), draw=st.data())
def test_what_is_sent_is_what_the_client_inflates(backend, messages, draw):
    parameters = draw.draw(st.sampled_from([KEEPING, ALONE]))
    endpoint, client = make_endpoint(backend, parameters), Client()
    for message in messages:
        endpoint.send(opcodes.BINARY, message, draw.draw(st.sampled_from([True, False, None])))
    received = []
    for is_compressed, _, payload in sent(endpoint):
        client = client if parameters is KEEPING else Client()
        received.append(client.decompress(payload) if is_compressed else payload)
    assert received == messages


# What is shared


def test_connections_without_context_share_everything():
    assert deflate_for(PerMessageDeflate()) is deflate_for(PerMessageDeflate())
    assert deflate_for(PerMessageDeflate()) is not deflate_for(PerMessageDeflate(level=3))


@pytest.mark.parametrize("kept", ["server_no_context_takeover", "client_no_context_takeover"])
def test_connections_with_context_share_nothing(kept):
    parameters = PerMessageDeflate(**{kept: False})
    assert deflate_for(parameters) is not deflate_for(parameters)


@pytest.mark.usefixtures("compressing_module")
def test_a_compressor_is_used_again():
    for _ in range(3):
        compress_alone(JSON, 2, 15)
    compress_alone(JSON, 2, 9)
    assert {key: len(idle) for key, idle in deflate._idle.items()} == {(2, 15): 1, (2, 9): 1}


def test_a_shared_deflate_keeps_nothing_of_a_message(backend):
    shared = deflate_for(ALONE)
    assert shared is not None
    endpoint = backend.Endpoint(1 << 20, 10, shared)
    assert endpoint.deflate is shared
    endpoint.receive(rsv1(opcodes.TEXT, compressed(JSON)))
    endpoint.send(opcodes.TEXT, JSON)
    assert shared.window == b""
    assert shared._compressor is None


def test_no_more_than_a_window_is_kept_of_messages(backend):
    kept = Deflate(PerMessageDeflate(client_no_context_takeover=False, client_max_window_bits=10))
    endpoint = backend.Endpoint(1 << 20, 10, kept)
    client = Client(10)
    for size, window in ((600, 600), (600, 1024), (5000, 1024), (1, 1024)):
        endpoint.receive(rsv1(opcodes.BINARY, client.compress(bytes(size))))
        assert kept.window == bytes(window)


def test_isal_compresses_if_it_is_installed(monkeypatch):
    isal = ModuleType("isal.isal_zlib")
    monkeypatch.setitem(sys.modules, "isal", ModuleType("isal"))
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", isal)
    assert fastest_zlib() is isal
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert fastest_zlib() is zlib


# Broadcasts


def broadcast_to(backend, broadcast: Broadcast, *parameters: PerMessageDeflate | None) -> list[bytes]:
    """Return the frame for an endpoint with each of these parameters."""
    frames = []
    for each in parameters:
        endpoint = make_endpoint(backend, each)
        endpoint.send_encoded(broadcast.frame_for(endpoint.deflate))
        (frame,) = endpoint.output
        frames.append(frame)
    return frames


def test_a_broadcast_is_compressed_once_for_each_set_of_parameters(backend):
    other = PerMessageDeflate(threshold=0, server_max_window_bits=10)
    client_keeps = PerMessageDeflate(threshold=0, client_no_context_takeover=False)
    frames = broadcast_to(
        backend, Broadcast(JSON.decode()), ALONE, None, other, ALONE, None, other, client_keeps
    )
    assert frames[0] is frames[3] is frames[6]
    assert frames[1] is frames[4]
    assert frames[2] is frames[5]
    for frame, bits in ((frames[0], 15), (frames[2], 10)):
        ((is_compressed, opcode, payload),) = server_messages(frame)
        assert (is_compressed, opcode) == (True, opcodes.TEXT)
        assert Client(bits).decompress(payload) == JSON
    assert server_messages(frames[1]) == [(False, opcodes.TEXT, JSON)]


def test_a_broadcast_is_compressed_anew_if_context_is_kept(backend):
    broadcast = Broadcast(JSON, as_binary=False)
    endpoint, client = make_endpoint(backend, KEEPING), Client()
    endpoint.send(opcodes.TEXT, JSON)
    for _ in range(2):
        endpoint.send_encoded(broadcast.frame_for(endpoint.deflate))
    endpoint.send(opcodes.TEXT, JSON)
    assert [client.decompress(payload) for _, _, payload in sent(endpoint)] == [JSON] * 4
    assert len(sent(endpoint)[1][2]) < len(sent(endpoint)[0][2]) / 3
    frame, plain = broadcast_to(backend, broadcast, KEEPING, None)
    assert Client().decompress(server_messages(frame)[0][2]) == JSON
    assert server_messages(plain) == [(False, opcodes.TEXT, JSON)]


@pytest.mark.parametrize(
    ("compress", "expected"), [(None, [False, True]), (True, [True] * 2), (False, [False] * 2)]
)
def test_a_broadcast_is_compressed_as_a_message_is(backend, compress, expected):
    high, low = PerMessageDeflate(threshold=1 << 20), PerMessageDeflate(threshold=1)
    frames = broadcast_to(backend, Broadcast(JSON, compress=compress), high, low)
    assert [server_messages(frame)[0][0] for frame in frames] == expected


def test_only_what_can_be_sent_can_be_broadcast():
    with pytest.raises(TypeError, match="a message must be str or bytes"):
        Broadcast(1)  # type: ignore[arg-type]  # the point of the test
