"""The body of a close frame (RFC 6455, sections 5.5.1 and 7.4)."""

from __future__ import annotations

import pytest

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close, close_payload
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.errors import invalid_text, violation
from tests.protocol import peer

SENDABLE = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NEVER_SENT = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
NOT_UTF8 = [b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82", b"\xff"]


# Received


def test_an_empty_close_frame_has_no_code(parse):
    assert parse(peer.frame(opcodes.CLOSE)) == [Close(WebSocketCloseReasonCode.NO_REASON_CODE_SENT, "")]


def test_a_close_payload_of_one_byte_fails_with_1002(parse):
    assert parse(peer.frame(opcodes.CLOSE, b"\x03")) == [
        violation("Close frames, which contain a payload, must be between 2 and 125 octets inclusive")
    ]


@pytest.mark.parametrize("code", SENDABLE)
def test_a_close_frame_of_two_bytes_has_a_code_and_no_reason(parse, code):
    (event,) = parse(peer.close(code))
    assert event == Close(WebSocketCloseReasonCode(code), "")
    assert isinstance(event.code, WebSocketCloseReasonCode)


@pytest.mark.parametrize("code", SENDABLE)
def test_a_close_frame_of_125_bytes_has_a_reason_of_123(parse, code):
    reason = "\u00e4" * 61 + "!"
    assert parse(peer.close(code, reason.encode())) == [Close(WebSocketCloseReasonCode(code), reason)]


@pytest.mark.parametrize("reason", [b"", b"bye", b"x" * 123])
@pytest.mark.parametrize("code", NEVER_SENT)
def test_a_code_that_must_not_be_sent_fails_with_1002(parse, code, reason):
    assert parse(peer.close(code, reason)) == [violation(f"Close frames must not carry the code {code}")]


@pytest.mark.parametrize("reason", NOT_UTF8)
def test_a_reason_that_is_not_utf8_fails_with_1007(parse, reason):
    assert parse(peer.close(1000, reason)) == [
        invalid_text("The reason of a close frame must be valid UTF-8")
    ]


def test_a_wrong_code_is_reported_before_a_wrong_reason(parse):
    assert parse(peer.close(1006, b"\xff")) == [violation("Close frames must not carry the code 1006")]


# Sent


@pytest.mark.parametrize("code", SENDABLE)
def test_a_code_and_a_reason_make_a_payload(code):
    assert close_payload(code) == code.to_bytes(2, "big")
    assert (
        close_payload(WebSocketCloseReasonCode(code), "t\u00fcr") == code.to_bytes(2, "big") + b"t\xc3\xbcr"
    )


def test_1005_makes_an_empty_payload():
    assert close_payload(1005) == close_payload(WebSocketCloseReasonCode.NO_REASON_CODE_SENT, "") == b""


@pytest.mark.parametrize("code", [code for code in NEVER_SENT if code != 1005])
def test_a_code_that_must_not_be_sent_is_a_value_error(code):
    with pytest.raises(ValueError, match=f"the close code {code} must not be sent"):
        close_payload(code)


def test_a_reason_without_a_code_is_a_value_error():
    with pytest.raises(ValueError, match="the close code 1005 must not be sent"):
        close_payload(1005, "why")


def test_a_reason_may_have_123_bytes_of_utf8_and_no_more():
    assert len(close_payload(1000, "\u00e4" * 61 + "!")) == 125
    with pytest.raises(ValueError, match="at most 123 bytes of UTF-8, not 124"):
        close_payload(1000, "\u00e4" * 62)


def test_a_reason_that_utf8_cannot_encode_is_a_value_error():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        close_payload(1000, "\ud800")
