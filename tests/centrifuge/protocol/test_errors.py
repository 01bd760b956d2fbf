"""The codes of errors, unsubscribes and disconnects, and the texts that go with them."""

from __future__ import annotations

import pytest

from geventkws.centrifuge.protocol.errors import (
    ClientError,
    Disconnect,
    DisconnectCode,
    ErrorCode,
    UnsubscribeCode,
    unsubscribe,
)
from geventkws.centrifuge.protocol.parts import Error
from geventkws.centrifuge.protocol.replies import Unsubscribe

pytestmark = pytest.mark.readable


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (100, Error(100, "internal server error", True)),
        (103, Error(103, "permission denied")),
        (111, Error(111, "too many requests", True)),
        (112, Error(112, "unrecoverable position")),
    ],
)
def test_an_error_has_the_text_of_its_code(code: int, error: Error) -> None:
    assert ClientError(code).error == error


def test_an_application_has_errors_of_its_own() -> None:
    assert ClientError(400, "no such room", temporary=True).error == Error(400, "no such room", True)
    with pytest.raises(ValueError, match="400 is no code of the protocol: give it a text"):
        ClientError(400)
    with pytest.raises(ValueError, match="from 100 to 1999, which 3500 is not"):
        ClientError(3500, "invalid token")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(3004, "internal server error"), (3005, "connection expired"), (3501, "bad request"), (3008, "slow")],
)
def test_a_disconnect_has_the_reason_of_its_code(code: int, reason: str) -> None:
    disconnect = Disconnect(code)
    assert (disconnect.code, disconnect.reason) == (code, reason)
    assert str(disconnect) == f"{reason} ({code})"


def test_an_application_has_disconnects_of_its_own() -> None:
    assert Disconnect(4500, "banned").reason == "banned"
    with pytest.raises(ValueError, match="4500 is no code of the protocol"):
        Disconnect(4500)
    with pytest.raises(ValueError, match="from 3000 to 4999, which 1000 is not"):
        Disconnect(1000, "bye")
    with pytest.raises(ValueError, match="at most 123 bytes"):
        Disconnect(4000, "ä" * 62)


def test_every_code_has_a_text() -> None:
    assert all(ClientError(code).error.message for code in ErrorCode)
    assert all(Disconnect(code).reason for code in DisconnectCode)
    assert all(unsubscribe(code).reason for code in UnsubscribeCode)
    assert unsubscribe(UnsubscribeCode.INSUFFICIENT_STATE) == Unsubscribe(2500, "insufficient state")
