"""Tokens, and comma-separated lists of them, in the values of header fields (RFC 9110, section 5.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from geventkws.backend import use_compiled

OWS = " \t"
"""Optional whitespace (RFC 9110, 5.6.3); a plain ``str.strip`` would also remove control characters."""

TOKEN_CHARACTER = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""The pattern of one character of a token (RFC 9110, 5.6.2)."""

_TOKEN = re.compile(f"{TOKEN_CHARACTER}+")


def is_token(text: str) -> bool:
    """Return whether ``text`` is a token (RFC 9110, 5.6.2): a method, a field name, a subprotocol."""
    return _TOKEN.fullmatch(text) is not None


def list_members(values: Iterable[str]) -> list[str]:
    """Return the members of a comma-separated list that may span several lines, as sent and in order.

    Empty members are left out (RFC 9110, 5.6.1.2). Quoted strings are not recognized.
    """
    return [member for value in values for part in value.split(",") if (member := part.strip(OWS))]


MAX_CACHED = 64
"""The most characters of a list that is cached: most clients send one of a few, such as ``keep-alive``."""


def tokens(values: Iterable[str]) -> list[str]:
    """Return the members of a comma-separated list of case-insensitive names, in lower case and in order."""
    members: list[str] = []
    for value in values:
        members += _known_tokens(value) if len(value) <= MAX_CACHED else _tokens(value)
    return members


def _tokens(value: str) -> tuple[str, ...]:
    return tuple(list_members((value.lower(),)))


_known_tokens = lru_cache(maxsize=256)(_tokens)


use_compiled(__name__, globals())
