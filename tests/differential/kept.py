"""Where we differ from most on purpose, and why."""

from __future__ import annotations

import re

from tests.differential.judge import ACCEPTS, DIFFERS, ENDS, Verdict

_UPGRADE = re.compile(rb"^connection:[^\r\n]*upgrade", re.IGNORECASE | re.MULTILINE)
_LIST_OF_UPGRADES = re.compile(
    rb"^upgrade:[^\r\n]*,|^upgrade:.*^upgrade:", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_QUOTED_PARAMETER = re.compile(rb'^sec-websocket-extensions:[^\r\n]*="', re.IGNORECASE | re.MULTILINE)


def kept_request(data: bytes, verdict: Verdict) -> str | None:
    """Return why we differ from most in reading this request, if it is on purpose."""
    if verdict.kind == ENDS and _UPGRADE.search(data):
        return (
            "A request that asks for an upgrade is the last of its connection if it gets none: a proxy that"
            " thinks that there is a tunnel now must get no second request through it."
        )
    return None


def kept_handshake(data: bytes, verdict: Verdict) -> str | None:
    """Return why we differ from most in answering this handshake, if it is on purpose."""
    if verdict.kind == ACCEPTS and _LIST_OF_UPGRADES.search(data):
        return (
            "Upgrade is a list (RFC 9110, 7.8), of which a server chooses a member, and may be split over"
            " lines (5.3) or have empty members (5.6.1.2)."
        )
    if verdict.kind == DIFFERS and _QUOTED_PARAMETER.search(data):
        return "The value of a parameter of an extension may be quoted, and is then the same (RFC 6455, 9.1)."
    return None
