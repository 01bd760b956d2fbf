"""The intake of a connection, in both forms of the module, which must do the same with the same bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.net.transport import PlainTransport
from geventkws.protocol import opcodes
from tests.backends import BACKENDS
from tests.helpers import forms
from tests.protocol import peer, streams

INTAKES = forms("geventkws.websocket.intake")
LEAVES = forms("geventkws.loop.leaf")
LONG = 3 << 20


def parse(form: str, wire: bytes, cuts: list[int], max_frames: int) -> list[object]:
    """Return everything that ``parse`` makes of ``wire``, which is received into one buffer in pieces."""
    endpoint = BACKENDS[form].Endpoint(1 << 20, 1000)
    story: list[object] = []
    position = 0
    for size in [*cuts, len(wire)]:
        piece = wire[position : position + size]
        position += size
        buffer = LEAVES[form].Buffer(bytearray(b"##" + piece + b"##"))
        buffer.start, buffer.end = 2, 2 + len(piece)
        while buffer.start < buffer.end:
            before = buffer.start
            INTAKES[form].parse(endpoint, buffer, max_frames, story)
            story.append(buffer.start)
            assert before < buffer.start <= buffer.end
    return [*story, endpoint.bytes_received, endpoint.messages_received]


@pytest.mark.skipif("compiled" not in INTAKES, reason="the extension modules are not built")
@given(
    wire=streams.ANY_BYTES | streams.conversations().map(lambda pair: pair[1]),
    cuts=st.lists(st.integers(1, 99), max_size=5),
    max_frames=st.sampled_from((1, 2, 64)),
)
def test_the_same_bytes_in_the_same_pieces_give_the_same(
    wire: bytes, cuts: list[int], max_frames: int
) -> None:
    assert parse("compiled", wire, cuts, max_frames) == parse("pure", wire, cuts, max_frames)


@pytest.fixture(params=INTAKES)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("message", "size"),
    [("", 0), (b"", 0), ("abc", 3), (b"\xff" * 3, 3), ("ü", 4), ("\U0001f600", 4), ("a" * 99 + "ü", 400)],
)
def test_a_message_takes_this_much_at_most(form: str, message: str | bytes, size: int) -> None:
    assert INTAKES[form].storage(message) == size


class Line:
    """An endpoint on one end of a socket pair, and the peer's socket."""

    def __init__(self, form: str) -> None:
        ours, self.peer = socket.socketpair()
        self.transport = PlainTransport(ours.detach())
        self.endpoint = BACKENDS[form].Endpoint(LONG, 1000)
        self._intake = INTAKES[form]

    def wants_rest(self) -> bool:
        return bool(self._intake.wants_rest(self.endpoint, self.transport))

    def receive_rest(self, events: list[Any]) -> int:
        return int(self._intake.receive_rest(self.endpoint, self.transport, self.transport.fileno(), events))

    def close(self) -> None:
        self.transport.close()
        self.peer.close()


@pytest.fixture
def line(form: str) -> Iterator[Line]:
    line = Line(form)
    yield line
    line.close()


class TestTheRestOfALongMessage:
    def test_between_messages_there_is_none(self, line: Line) -> None:
        line.peer.sendall(peer.text("short"))
        assert not line.wants_rest()
        assert line.receive_rest([]) == -2

    def test_it_is_complete_in_whatever_way_it_is_received(self, line: Line) -> None:
        payload = bytes(range(256)) * (LONG // 256)
        wire = peer.frame(opcodes.BINARY, payload)
        events: list[Any] = line.endpoint.receive(wire[:100_000])
        position = 100_000
        while position < len(wire):
            position += line.peer.send(wire[position : position + 50_000])
            while (count := line.receive_rest(events)) > 0:
                pass
            if count == -2:
                events += line.endpoint.receive(line.transport.recv(1 << 20) or b"")
        assert events == [payload]
        assert line.endpoint.bytes_received == len(wire)

    # In Python, nothing is received in place.
    @pytest.mark.parametrize("form", [form for form in INTAKES if form != "pure"])
    def test_its_end_and_its_loss_are_reported(self, form: str, line: Line) -> None:
        line.endpoint.receive(peer.frame(opcodes.BINARY, bytes(LONG))[:100_000])
        assert line.wants_rest()
        assert line.receive_rest([]) == -1
        line.peer.close()
        assert line.receive_rest([]) == 0
        line.transport.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            line.receive_rest([])

    def test_of_another_transport_it_is_not_received_in_place(self, form: str, line: Line) -> None:
        line.endpoint.receive(peer.frame(opcodes.BINARY, bytes(LONG))[:100_000])
        assert INTAKES[form].receive_rest(line.endpoint, object(), -1, []) == -2
        assert not INTAKES[form].wants_rest(line.endpoint, object())
