"""Why an upgrade is refused, and the exception that says so."""

from __future__ import annotations

import pickle

import pytest

from geventkws.protocol.refusals import HandshakeError


@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 426, 503, 599])
def test_a_refusal_has_a_status_of_300_to_599(status):
    assert HandshakeError(status).status == status


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 200, 299, 600, 1000])
def test_another_status_is_a_value_error(status):
    with pytest.raises(ValueError, match="300 to 599"):
        HandshakeError(status)


@pytest.mark.parametrize(
    "headers", [{"Location": "/login", "Set-Cookie": "a=é"}, (("Location", "/login"), ("Set-Cookie", "a=é"))]
)
def test_headers_are_a_mapping_or_pairs(headers):
    error = HandshakeError(302, "Log in first", headers)
    assert error.headers == [("Location", "/login"), ("Set-Cookie", "a=é")]
    assert error.message == "Log in first"


def test_headers_may_come_from_an_iterator():
    assert HandshakeError(401, headers=iter([("WWW-Authenticate", "Basic\trealm")])).headers == [
        ("WWW-Authenticate", "Basic\trealm")
    ]


@pytest.mark.parametrize(
    "value", ["a\rb", "a\nb", "a\r\nSet-Cookie: b", "a\x00b", "\n", "a\x7f", "\x1b[0m", "€"]
)
def test_a_value_that_cannot_be_in_a_header_field_is_a_value_error(value):
    with pytest.raises(ValueError, match="Location"):
        HandshakeError(302, "", {"Location": value})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "a\x00", "é", " a"])
def test_a_name_that_a_header_field_cannot_have_is_a_value_error(name):
    with pytest.raises(ValueError, match="not a valid name for a header field"):
        HandshakeError(400, "", [(name, "value")])


def test_a_refusal_reads_as_its_status_and_message():
    assert str(HandshakeError(403, "Not you")) == "403 Not you"
    assert str(HandshakeError(403)) == "403"


def test_a_refusal_can_be_pickled():
    copy = pickle.loads(pickle.dumps(HandshakeError(401, "Who?", {"WWW-Authenticate": "Basic"})))
    assert (copy.status, copy.message, copy.headers) == (401, "Who?", [("WWW-Authenticate", "Basic")])
