"""Framing by itself, correct even without llhttp in front of it."""

from __future__ import annotations

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.framing import BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY, frame_request, frame_response


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "3"), ("Content-Length", "3")],
        [("Content-Length", "3, 3")],
        [("Content-Length", "+3")],
        [("Content-Length", "\u0663")],
        [("Content-Length", "")],
        [("Content-Length", "1" * 19)],
        [("Host", "h")],
    ],
)
def test_a_request_without_one_plain_length_is_refused(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(HTTPError) as caught:
        frame_request("POST", "/", "1.1", (("Host", "h"), *fields))
    assert caught.value.status == 400
    assert str(caught.value).startswith("400: The ")


KEY = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")


@pytest.mark.parametrize(
    ("version", "fields", "lost"),
    [
        ("1.0", [KEY, ("Connection", "close")], True),
        ("1.1", [KEY], True),
        ("1.1", [KEY, ("Upgrade", "websocket")], True),
        ("1.1", [KEY, ("Connection", "Upgrade")], True),
        ("1.1", [KEY, ("Connection", "Upgrade"), ("Upgrade", "websocket")], False),
        ("1.1", [], False),
    ],
)
def test_a_handshake_without_its_upgrade_is_noticed(version, fields, lost) -> None:
    head = frame_request("GET", "/", version, (("Host", "h"), *fields))
    assert head.lost_upgrade is lost
    assert head.with_headers(()).lost_upgrade is lost


@pytest.mark.parametrize(
    ("method", "version", "status", "length", "framing"),
    [
        ("GET", "1.1", 200, 3, BY_LENGTH),
        ("GET", "1.1", 200, None, BY_CHUNKS),
        ("GET", "1.0", 200, 3, BY_LENGTH),
        ("GET", "1.0", 200, None, BY_CLOSE),
        ("HEAD", "1.1", 200, 3, NO_BODY),
        ("GET", "1.1", 204, 3, NO_BODY),
        ("GET", "1.0", 304, None, NO_BODY),
    ],
)
def test_a_response_is_framed_by_what_is_known(method, version, status, length, framing) -> None:
    assert frame_response(method, version, status, length) is framing


@pytest.mark.parametrize(
    "codings", [["chunked", "chunked"], ["chunked", "gzip"], ["gzip"], ["gzip, chunked"]]
)
def test_codings_other_than_a_single_chunked_are_not_supported(codings: list[str]) -> None:
    lines = [("Transfer-Encoding", coding) for coding in codings]
    with pytest.raises(HTTPError) as caught:
        frame_request("POST", "/", "1.1", (("Host", "h"), *lines))
    assert caught.value.status == 501
