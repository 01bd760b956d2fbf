"""Close reason codes (RFC 6455, section 7.4)."""

from __future__ import annotations

import copy
import pickle

import pytest

from geventkws.protocol.close_codes import WebSocketCloseReasonCode, is_sendable, is_user_defined

NAMED = {
    "NORMAL": 1000,
    "GOING_AWAY": 1001,
    "PROTOCOL_ERROR": 1002,
    "INVALID_DATA_TYPE": 1003,
    "NO_REASON_CODE_SENT": 1005,
    "CLOSED_ABNORMALLY": 1006,
    "INVALID_DATA_CONTENTS": 1007,
    "POLICY_VIOLATION": 1008,
    "MESSAGE_TOO_LARGE": 1009,
    "EXTENSION_MISSING": 1010,
    "SERVER_ERROR": 1011,
    "SERVICE_RESTART": 1012,
    "TRY_AGAIN_LATER": 1013,
    "BAD_GATEWAY": 1014,
}
SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_the_named_codes_are_kituras_and_the_later_ones_of_iana():
    assert {code.name: code.value for code in WebSocketCloseReasonCode} == NAMED


def test_a_code_is_an_int():
    code: int = WebSocketCloseReasonCode.NORMAL
    assert code == 1000
    assert WebSocketCloseReasonCode(1000) is WebSocketCloseReasonCode.NORMAL


@pytest.mark.parametrize("number", [3000, 3999, 4000, 4999])
@pytest.mark.parametrize("make", [WebSocketCloseReasonCode, WebSocketCloseReasonCode.user_defined])
def test_a_code_of_an_application_is_a_reason_code_too(make, number):
    code = make(number)
    assert isinstance(code, WebSocketCloseReasonCode)
    assert code == code.value == number
    assert code.name == f"USER_DEFINED_{number}"
    assert repr(code) == f"<WebSocketCloseReasonCode.USER_DEFINED_{number}: {number}>"


def test_the_same_code_of_an_application_is_equal_and_hashes_alike():
    one, other = WebSocketCloseReasonCode(4001), WebSocketCloseReasonCode(4001)
    assert one == other
    assert {one: "kicked"}[other] == "kicked"
    assert one != WebSocketCloseReasonCode(4002)


def test_codes_of_applications_are_not_kept_so_that_a_peer_cannot_fill_the_memory():
    code = WebSocketCloseReasonCode(4001)
    assert WebSocketCloseReasonCode(4001) is not code
    assert len(WebSocketCloseReasonCode) == len(NAMED)
    assert 4001 not in WebSocketCloseReasonCode._value2member_map_


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda code: pickle.loads(pickle.dumps(code))])
def test_a_code_of_an_application_can_be_copied_and_pickled(again):
    code = again(WebSocketCloseReasonCode(4001))
    assert isinstance(code, WebSocketCloseReasonCode)
    assert code == 4001


@pytest.mark.parametrize(
    "value", [-1, 0, 999, 1004, 1015, 1016, 2000, 2999, 5000, 65535, "4001", 4001.5, None]
)
def test_what_is_not_a_code_is_a_value_error(value):
    with pytest.raises(ValueError, match="is not a valid WebSocketCloseReasonCode"):
        WebSocketCloseReasonCode(value)


@pytest.mark.parametrize("number", [0, 1000, 1005, 2999, 5000, 65535])
def test_user_defined_refuses_what_is_not_for_applications(number):
    with pytest.raises(ValueError, match=f"must be from 3000 to 4999, not {number}"):
        WebSocketCloseReasonCode.user_defined(number)


def test_which_codes_may_be_sent():
    assert {number for number in range(65536) if is_sendable(number)} == SENDABLE


def test_which_codes_belong_to_applications():
    assert {number for number in range(65536) if is_user_defined(number)} == set(range(3000, 5000))
