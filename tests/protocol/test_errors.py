"""The errors that fail a connection (RFC 6455, section 7.1.7)."""

from __future__ import annotations

import pytest

from geventkws.protocol.errors import ProtocolError, invalid_text, too_large, violation


@pytest.mark.parametrize(("make", "code"), [(violation, 1002), (invalid_text, 1007), (too_large, 1009)])
def test_an_error_carries_its_close_code_and_what_was_wrong(make, code):
    error = make("what was wrong")
    assert isinstance(error, ProtocolError)
    assert error.code == code
    assert error.message == str(error) == "what was wrong"
    assert repr(error) == f"ProtocolError({code}, 'what was wrong')"


def test_errors_are_equal_by_code_and_message():
    assert violation("a") == violation("a")
    assert hash(violation("a")) == hash(violation("a"))
    assert violation("a") != violation("b")
    assert violation("a") != too_large("a")
    assert violation("a") != "a"
