"""How ``receive`` reports the end of a connection."""

from __future__ import annotations

import pytest

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.closed import ConnectionClosed, until_closed


def test_the_exception_has_the_code_and_the_peers_text() -> None:
    closed = ConnectionClosed(WebSocketCloseReasonCode.GOING_AWAY, "good night")
    assert str(closed) == "the connection has ended: 1001 (GOING_AWAY)"
    assert closed.reason is WebSocketCloseReasonCode.GOING_AWAY
    assert closed.description == "good night"


def test_a_loop_over_the_messages_ends_with_the_connection() -> None:
    messages: list[str | bytes] = ["one", b"two"]

    def receive() -> str | bytes:
        if not messages:
            raise ConnectionClosed(WebSocketCloseReasonCode.NORMAL)
        return messages.pop(0)

    assert list(until_closed(receive)) == ["one", b"two"]


def test_nothing_else_ends_it_silently() -> None:
    def receive() -> str | bytes:
        raise TimeoutError("nothing came")

    with pytest.raises(TimeoutError):
        next(until_closed(receive))
