"""The compiled and the readable protocol do the same: events, errors, output and counts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geventkws.protocol import opcodes
from geventkws.protocol.messages import Ping
from tests.backends import BACKENDS
from tests.protocol import peer, streams

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif("compiled" not in BACKENDS, reason="the extension modules are not built"),
]

LIMITS = st.tuples(st.sampled_from((0, 1, 5, 125, 126, 300, 1 << 20)), st.sampled_from((1, 2, 3, 1000)))


class Twins:
    """Both endpoints, which must answer everything alike."""

    def __init__(self, *limits: int) -> None:
        self._endpoints = [backend.Endpoint(*limits) for backend in BACKENDS.values()]

    @property
    def taken(self) -> int:
        return int(self._endpoints[0].taken)

    def __getattr__(self, name: str):
        def call(*args):
            results = []
            for endpoint in self._endpoints:
                try:
                    result = getattr(endpoint, name)(*args)
                except Exception as error:
                    result = type(error), str(error)
                results.append((result, state(endpoint)))
            assert all(result == results[0] for result in results), results
            return results[0][0]

        return call


def state(endpoint):
    counters = ("messages_received", "messages_sent", "bytes_received", "bytes_sent", "taken")
    return (
        b"".join(endpoint.output),
        endpoint.output_size,
        endpoint.close_sent,
        *[getattr(endpoint, name) for name in counters],
    )


WIRES = streams.ANY_BYTES | streams.conversations().map(lambda pair: pair[1])


@given(st.data(), WIRES, LIMITS)
def test_the_same_bytes_in_the_same_pieces_give_the_same(data, wire, limits):
    twins = Twins(*limits)
    for piece in data.draw(streams.pieces(wire)):
        for event in twins.receive(piece):
            if isinstance(event, Ping):
                twins.pong(event.payload)


@given(st.data(), WIRES, LIMITS)
def test_so_do_as_many_frames_at_a_time(data, wire, limits):
    twins = Twins(*limits)
    for piece in data.draw(streams.pieces(wire)):
        while piece:
            twins.receive(piece, data.draw(st.integers(1, 20)))
            piece = piece[twins.taken :]


@given(streams.ANY_BYTES)
@example(peer.frame(opcodes.TEXT, b"\xed\xa0\x80"))
@example(peer.frame(opcodes.TEXT, b"\xf4\x90\x80\x80"))
def test_byte_by_byte(wire):
    twins = Twins(1 << 20, 1000)
    for index in range(len(wire)):
        twins.receive(wire[index : index + 1])


@pytest.mark.parametrize("opcode", [opcodes.CLOSE, opcodes.PING, opcodes.PONG])
@pytest.mark.parametrize("size", [0, 1, 2, 125, 126, 65_536])
@pytest.mark.parametrize("fin", [True, False])
def test_control_frames_about_their_limit(opcode, size, fin):
    payload = (b"\x03\xe8" + bytes(size))[:size]  # to begin with the code 1000, if it is a close frame
    Twins(1 << 20, 1000).receive(peer.frame(opcode, payload, fin=fin, key=b"mask"))


@pytest.mark.parametrize("size", [65_535, 65_536, 262_143, 262_144, 262_145, 600_000, 1_048_576])
@pytest.mark.parametrize("step", [1_000, 65_536, 262_144, 1 << 21])
@pytest.mark.parametrize("opcode", [opcodes.TEXT, opcodes.BINARY])
def test_large_messages_in_pieces(size, step, opcode):
    payload = ("Füße! " * (size // 6 + 1)).encode()[:size].decode(errors="ignore").encode()
    wire = peer.frame(opcode, payload) + peer.text("next")
    twins = Twins(1 << 20, 1000)
    events = []
    for start in range(0, len(wire), step):
        events += twins.receive(wire[start : start + step])
    assert events == [payload.decode() if opcode == opcodes.TEXT else payload, "next"]


ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from((1, 2)), st.binary(max_size=200)),
    st.tuples(st.just("send"), st.just(2), st.sampled_from((bytes(16_384), bytes(16_385), bytes(65_536)))),
    st.tuples(st.just("send_text"), st.text(max_size=99) | st.sampled_from(("\ud800", "x" * 16_385))),
    st.tuples(st.just("send_encoded"), st.binary(min_size=2, max_size=9)),
    st.tuples(st.just("ping"), st.binary(max_size=127)),
    st.tuples(st.just("pong"), st.binary(max_size=125)),
    st.tuples(st.just("close"), st.sampled_from((1000, 1005, 1006, 4000)), st.text(max_size=5)),
    st.tuples(st.just("sent"), st.integers(1, 300)),
)


@given(st.lists(ACTIONS, max_size=12))
def test_the_same_calls_give_the_same_bytes(actions):
    twins = Twins(1 << 20, 1000)
    waiting = 0
    for name, *args in actions:
        if name == "sent":
            args = [min(args[0], waiting)]
            if not args[0]:
                continue
        getattr(twins, name)(*args)
        waiting = twins._endpoints[0].output_size


@given(st.lists(st.integers(1, 1_000), max_size=20))
def test_many_short_messages_that_wait_become_few_chunks(steps):
    twins = Twins(1 << 20, 1000)
    expected = b""
    for index in range(600):
        twins.send(opcodes.TEXT, b"%d" % index)
        expected += b"\x81%c%d" % (len(str(index)), index)
    for endpoint in twins._endpoints:
        assert len(endpoint.output) < 300
    for step in steps:
        step = min(step, len(expected) - 1)
        if not step:
            break
        twins.sent(step)
        expected = expected[step:]
        twins.ping(b"?")
        expected += b"\x89\x01?"
    for endpoint in twins._endpoints:
        assert b"".join(endpoint.output) == expected
