"""The forms of a request target (RFC 9112, 3.2), each brought into origin form or refused."""

from __future__ import annotations

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.target import normalise

HOST = (("Host", "h"), ("Accept", "x"))


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    [
        ("http://example.com/a?b", "/a?b", "example.com"),
        ("HTTPS://example.com:8443/", "/", "example.com:8443"),
        ("http://example.com", "/", "example.com"),
        ("http://example.com?q", "/?q", "example.com"),
        ("http://[::1]:80/a://b", "/a://b", "[::1]:80"),
    ],
)
def test_the_authority_of_an_absolute_target_replaces_host(target, path, authority) -> None:
    assert normalise("GET", target, HOST) == (path, (("Host", authority), ("Accept", "x")))


def test_an_absolute_target_needs_no_host() -> None:
    assert normalise("GET", "http://a/", ()) == ("/", (("Host", "a"),))


def test_only_options_may_ask_about_the_server_as_a_whole() -> None:
    assert normalise("OPTIONS", "*", HOST) == ("*", HOST)
    with pytest.raises(HTTPError, match="Only OPTIONS"):
        normalise("GET", "*", HOST)


@pytest.mark.parametrize(
    "target",
    ["a", "example.com:443", "ftp://a/", "http:/a", "http://", "http:///a", "http://a b/", "http://a/#b"],
)
def test_what_has_none_of_the_forms_is_refused(target: str) -> None:
    with pytest.raises(HTTPError) as caught:
        normalise("GET", target, HOST)
    assert caught.value.status == 400


def test_two_hosts_are_refused_whatever_takes_their_place() -> None:
    with pytest.raises(HTTPError, match="more than one Host"):
        normalise("GET", "http://a/", (("Host", "a"), ("HOST", "a")))
