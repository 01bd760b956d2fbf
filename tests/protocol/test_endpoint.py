"""The server's side of a connection: the bytes it sends, and the events and counts of what it receives."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.errors import violation
from geventkws.protocol.frames import JOINED_PAYLOAD
from geventkws.protocol.messages import Ping
from tests.protocol import peer
from tests.protocol.peer import ServerFrame, server_frames

LARGE = bytes(range(256)) * 256


@pytest.fixture
def endpoint(backend):
    return backend.Endpoint(1 << 20, 1 << 17)


def wire(endpoint) -> bytes:
    """Return the bytes waiting to be sent."""
    data = b"".join(endpoint.output)
    assert endpoint.output_size == len(data)
    return data


def speak(endpoint) -> None:
    """Send one of each kind, with short and long payloads."""
    endpoint.send(opcodes.TEXT, b"Hello")
    endpoint.ping(b"p")
    endpoint.send(opcodes.BINARY, LARGE)
    endpoint.pong(b"")
    endpoint.send_encoded(b"\x81\x02hi")
    endpoint.close(1000, "bye")


# What is sent


@pytest.mark.parametrize(
    ("size", "head"), [(0, 2), (1, 2), (125, 2), (126, 4), (127, 4), (65535, 4), (65536, 10), (100_000, 10)]
)
@pytest.mark.parametrize("opcode", [opcodes.TEXT, opcodes.BINARY])
def test_a_message_is_one_unmasked_frame_in_the_shortest_length_form(endpoint, opcode, size, head):
    payload = bytes(index % 127 for index in range(size))
    endpoint.send(opcode, payload)
    assert server_frames(wire(endpoint)) == [ServerFrame(opcode, payload, fin=True, head=head)]


def test_the_unmasked_hello_of_the_rfc(endpoint):
    endpoint.send(opcodes.TEXT, b"Hello")
    assert wire(endpoint) == b"\x81\x05Hello"


@pytest.mark.parametrize(("size", "chunks"), [(0, 1), (JOINED_PAYLOAD, 1), (JOINED_PAYLOAD + 1, 2)])
def test_a_payload_is_joined_with_its_head_up_to_a_limit(endpoint, size, chunks):
    endpoint.send(opcodes.BINARY, bytes(size))
    assert len(endpoint.output) == chunks


def test_a_large_payload_is_not_copied(endpoint):
    endpoint.send(opcodes.BINARY, LARGE)
    assert endpoint.output[-1] is LARGE
    endpoint.sent(endpoint.output_size - 1)
    (rest,) = endpoint.output
    assert rest.obj is LARGE
    assert rest == LARGE[-1:]


def test_an_encoded_frame_is_sent_as_it_is_for_all_connections_the_same(endpoint, backend):
    frame = backend.encode_frame(opcodes.TEXT, b"to all")
    endpoint.send_encoded(frame)
    assert endpoint.output == [frame]
    assert endpoint.output[0] is frame


@pytest.mark.parametrize("payload", [b"", b"are you there?", bytes(125)])
def test_a_ping_and_its_pong_have_the_same_payload(endpoint, payload):
    endpoint.ping(payload)
    endpoint.pong(payload)
    assert server_frames(wire(endpoint)) == [
        ServerFrame(opcodes.PING, payload),
        ServerFrame(opcodes.PONG, payload),
    ]


def test_a_ping_is_empty_by_default(endpoint):
    endpoint.ping()
    assert wire(endpoint) == b"\x89\x00"


def test_a_ping_of_126_bytes_is_a_value_error(endpoint):
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        endpoint.ping(bytes(126))
    assert wire(endpoint) == b""


def test_a_close_frame_has_the_code_and_the_reason(endpoint):
    endpoint.close(WebSocketCloseReasonCode(4001), "t\u00fcr")
    assert server_frames(wire(endpoint)) == [ServerFrame(opcodes.CLOSE, b"\x0f\xa1t\xc3\xbcr")]
    assert endpoint.close_sent


def test_1005_sends_an_empty_close_frame(endpoint):
    endpoint.close(WebSocketCloseReasonCode.NO_REASON_CODE_SENT)
    assert wire(endpoint) == b"\x88\x00"


@pytest.mark.parametrize(
    ("code", "reason"), [(1006, ""), (1015, ""), (0, ""), (1000, "x" * 124), (1005, "x")]
)
def test_a_close_that_cannot_be_sent_is_a_value_error_and_leaves_the_connection_open(endpoint, code, reason):
    with pytest.raises(ValueError, match="close"):
        endpoint.close(code, reason)
    assert wire(endpoint) == b""
    assert not endpoint.close_sent


def test_nothing_is_sent_after_a_close_frame(endpoint):
    endpoint.close(1000)
    before = wire(endpoint)
    speak(endpoint)
    assert wire(endpoint) == before
    assert endpoint.messages_sent == 0


def test_messages_sent_before_the_close_leave_before_it(endpoint):
    speak(endpoint)
    assert [frame.opcode for frame in server_frames(wire(endpoint))] == [
        opcodes.TEXT,
        opcodes.PING,
        opcodes.BINARY,
        opcodes.PONG,
        opcodes.TEXT,
        opcodes.CLOSE,
    ]
    assert endpoint.messages_sent == 3


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_can_be_encoded_on_its_own(backend, size, fin):
    frame = backend.encode_frame(opcodes.BINARY, bytes(size), fin=fin)
    assert type(frame) is bytes
    (read,) = server_frames(frame)
    assert (read.opcode, read.payload, read.fin) == (opcodes.BINARY, bytes(size), fin)


# What the transport has taken


def test_any_count_of_bytes_may_leave(backend, endpoint):
    speak(endpoint)
    everything = wire(endpoint)
    edges = {edge for end in accumulate(map(len, endpoint.output)) for edge in (end - 1, end, end + 1)}
    for count in sorted({*range(20), *edges, len(everything) // 2} & set(range(len(everything) + 1))):
        other = backend.Endpoint(1, 1)
        speak(other)
        other.sent(count)
        assert wire(other) == everything[count:]
        assert other.bytes_sent == count
        assert all(other.output), "no empty chunk stays, which a socket could not take"


def test_bytes_may_leave_one_by_one(endpoint):
    endpoint.send(opcodes.TEXT, b"one")
    endpoint.ping(b"two")
    endpoint.close(1000)
    everything = wire(endpoint)
    for count in range(len(everything)):
        assert wire(endpoint) == everything[count:]
        endpoint.sent(1)
    assert endpoint.output == []
    assert endpoint.bytes_sent == len(everything)


@given(draw=st.data())
def test_what_leaves_is_what_was_sent_however_sending_and_leaving_alternate(backend, draw):
    endpoint = backend.Endpoint(1, 1)
    messages = draw.draw(st.lists(st.binary(max_size=130) | st.just(LARGE), max_size=6))
    left = b""
    for message in messages:
        endpoint.send(opcodes.BINARY, message)
        count = draw.draw(st.integers(0, endpoint.output_size))
        left += wire(endpoint)[:count]
        endpoint.sent(count)
    assert [frame.payload for frame in server_frames(left + wire(endpoint))] == messages
    assert endpoint.bytes_sent == len(left)
    assert endpoint.messages_sent == len(messages)


def test_nothing_may_leave_when_nothing_waits(endpoint):
    endpoint.sent(0)
    assert endpoint.output == []
    assert endpoint.bytes_sent == 0


# What is received


def test_received_bytes_become_events_and_are_counted(endpoint, chunked):
    data = (
        peer.text("a")
        + peer.ping(b"b")
        + peer.binary(b"c", fin=False)
        + peer.continuation(b"d")
        + peer.close(1001)
    )
    events = [event for chunk in chunked(data) for event in endpoint.receive(chunk)]
    assert events == ["a", Ping(b"b"), b"cd", Close(WebSocketCloseReasonCode.GOING_AWAY)]
    assert endpoint.messages_received == 2
    assert endpoint.bytes_received == len(data)


def test_nothing_is_answered_automatically(endpoint):
    endpoint.receive(peer.ping(b"?") + peer.frame(opcodes.CLOSE))
    assert wire(endpoint) == b""
    assert not endpoint.close_sent


def test_the_limits_of_an_endpoint_are_those_of_its_parser(backend):
    assert [event.code for event in backend.Endpoint(3, 9).receive(peer.text("four"))] == [1009]
    two_fragments = peer.text("a", fin=False) + peer.continuation(b"b")
    assert [event.code for event in backend.Endpoint(3, 1).receive(two_fragments)] == [1009]


def test_what_arrives_after_the_end_is_counted_but_ignored(endpoint):
    assert endpoint.receive(b"\x00\x00") == [violation("Frames sent by a client must be masked")]
    assert endpoint.receive(peer.text("late")) == []
    assert endpoint.messages_received == 0
    assert endpoint.bytes_received == 2 + len(peer.text("late"))
