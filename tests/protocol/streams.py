"""Hypothesis strategies for what clients send, right, wrong or damaged, and how it is cut into reads."""

from __future__ import annotations

from hypothesis import strategies as st

from geventkws.protocol import opcodes
from geventkws.protocol.messages import Event, Ping
from tests.protocol import peer

KEYS = st.binary(min_size=4, max_size=4)
MESSAGES = st.text(max_size=300) | st.binary(max_size=300)
CONTROLS = st.tuples(st.sampled_from((opcodes.PING, opcodes.PONG)), st.binary(max_size=125))


def pieces(data: bytes, most: int = 6) -> st.SearchStrategy[list[bytes]]:
    """Return ``data`` cut at up to ``most`` places; some pieces may be empty."""
    return st.lists(st.integers(0, len(data)), max_size=most).map(lambda cuts: cut(data, sorted(cuts)))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def conversations(draw) -> tuple[list[Event], bytes]:
    """Draw what a client sends, fragmented and with control frames between, and return its bytes, too."""
    events: list[Event] = []
    wire = b""
    for message in draw(st.lists(MESSAGES, max_size=5)):
        opcode = opcodes.TEXT if isinstance(message, str) else opcodes.BINARY
        payload = message.encode() if isinstance(message, str) else message
        parts = draw(pieces(payload))
        for index, part in enumerate(parts):
            for control, told in draw(st.lists(CONTROLS, max_size=1)):
                if control == opcodes.PING:
                    events.append(Ping(told))
                wire += peer.frame(control, told, key=draw(KEYS))
            kind = opcodes.CONTINUATION if index else opcode
            wire += peer.frame(kind, part, fin=index == len(parts) - 1, key=draw(KEYS))
        events.append(message)
    return events, wire


PAYLOADS = st.binary(max_size=130) | st.text(max_size=40).map(str.encode)

FRAMES = st.builds(
    peer.frame,
    st.integers(0, 15) | st.sampled_from(sorted(opcodes.ASSIGNED)),
    PAYLOADS,
    fin=st.booleans(),
    rsv=st.just(0) | st.integers(0, 7),
    key=KEYS | st.none(),
    length_bits=st.sampled_from((None, None, 16, 64)),
)
"""Frames of any kind, allowed where they are or not."""

DATA_FRAMES = st.builds(
    peer.frame, st.sampled_from((opcodes.TEXT, opcodes.CONTINUATION)), PAYLOADS, fin=st.booleans(), key=KEYS
)


@st.composite
def damaged(draw) -> bytes:
    """Draw a conversation in which some bytes are changed, lost or added."""
    wire = bytearray(draw(conversations())[1])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(wire)))
        wire[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(wire)


ANY_BYTES = (
    st.binary(max_size=200)
    | st.lists(FRAMES, max_size=6).map(b"".join)
    | st.lists(DATA_FRAMES, max_size=6).map(b"".join)
    | damaged()
)
