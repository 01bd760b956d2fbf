"""How publications are kept in channels, and what clients get of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.centrifuge.protocol.parts import ClientInfo, Publication
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF
from geventkws.centrifuge.publications import (
    ANNOUNCEMENTS,
    PUSHES,
    InappropriateData,
    packed,
    publication_of,
    unpacked,
)
from geventkws.pubsub import Position, PresenceEvent
from geventkws.pubsub import Publication as Published

INFO = {"user": "ann", "client": "c", "conn": {"a": 1}, "chan": None}


@given(data=st.binary(), tags=st.dictionaries(st.text(), st.text()), is_by_client=st.booleans())
def test_what_is_packed_is_unpacked(data: bytes, tags: dict[str, str], is_by_client: bool) -> None:
    message = packed(data, INFO if is_by_client else None, tags)
    info = ClientInfo("ann", "c", b'{"a":1}') if is_by_client else None
    assert unpacked(message, 3) == Publication(data, info, 3, tags)


def test_data_alone_are_kept_as_they_are() -> None:
    assert packed(b'{"a":1}') == '{"a":1}'
    assert packed(b"\xff") == b"\xff"


def test_a_publication_and_who_comes_and_goes_are_one_frame() -> None:
    published = Published("1", "news", Position(2, "x"))
    assert PUSHES["json"](published) == '{"push":{"channel":"news","pub":{"data":1,"offset":2}}}'
    assert isinstance(PUSHES["protobuf"](published), bytes)
    left = PresenceEvent("news", "c", {"user": "", "client": "c", "conn": None, "chan": None}, False)
    assert (
        ANNOUNCEMENTS["json"](left) == '{"push":{"channel":"news","leave":{"info":{"user":"","client":"c"}}}}'
    )


@pytest.mark.parametrize("message", ["{", "", "\x1e", "\x1e[]\n1", '\x1e{"info":{}, "tags":[]}\n', b"\xff"])
def test_what_is_not_json_is_not_for_clients_that_speak_it(message: str | bytes) -> None:
    with pytest.raises(InappropriateData, match="what was published on 'news'"):
        publication_of(JSON, Published(message, "news", None))


def test_whatever_is_not_a_header_is_for_clients_that_speak_protobuf() -> None:
    assert publication_of(PROTOBUF, Published(b"\xff", "news", None)).data == b"\xff"
