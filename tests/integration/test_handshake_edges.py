"""How a server answers handshakes at the edges of what is legal."""

from __future__ import annotations

from email import message_from_string

import pytest

from tests.integration.conftest import Echo, Serve
from tests.protocol.handshake_edges import EDGES, ORDINARY, Edge
from tests.protocol.handshake_page import PAGE, page


class Chat(Echo):
    subprotocols = ("chat",)
    compression = True


def ordinary(environ, start_response):
    start_response(f"{ORDINARY} OK", [("Content-Length", "0")])
    return []


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: " ".join(edge.lines))
def test_each_is_answered_as_the_table_says(serve: Serve, edge: Edge) -> None:
    client = serve(Chat(), application=ordinary).connect(None)
    client.send(edge.request())
    status_line, _, fields = client.read_head().partition("\r\n")
    answer = message_from_string(fields)
    assert status_line.split(" ")[1] == str(edge.status)
    assert answer["Sec-WebSocket-Protocol"] == edge.subprotocol
    assert ("permessage-deflate" in answer.get("Sec-WebSocket-Extensions", "")) == edge.compressed


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it: python -m tests.protocol.handshake_page"
