"""Parses ``Sec-WebSocket-Extensions`` (RFC 6455, section 9.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geventkws.protocol.tokens import TOKEN_CHARACTER

# extension-param = token [ "=" (token | quoted-string) ], and "the value after quoted-string unescaping MUST
# conform to the 'token' ABNF": so a string has the characters of a token, each with or without a backslash.
# Between any two parts there may be whitespace ("implied *LWS", 4.3). No repetition matches a character with
# which the next part could begin, so nothing is tried twice, and the time is linear.
_TOKEN = f"{TOKEN_CHARACTER}+"
_STRING = rf'"(?:\\?{TOKEN_CHARACTER})+"'
_OWS = r"[ \t]*"
_NAME = re.compile(f"({_TOKEN}){_OWS}")
_PARAMETER = re.compile(f";{_OWS}({_TOKEN}){_OWS}(?:={_OWS}({_TOKEN}|{_STRING}){_OWS})?")
_COMMAS = re.compile(r"[ \t,]*")


class ExtensionOffer(NamedTuple):
    """An extension offered by a client, with its parameters in order; one without a value has ``None``."""

    name: str
    parameters: list[tuple[str, str | None]]


def parse_extensions(lines: Iterable[str]) -> list[ExtensionOffer]:
    """Return the offers in the ``Sec-WebSocket-Extensions`` fields with these values, in order.

    Quotes do not change a value. Empty members of the list are left out, and a list of nothing else offers
    nothing (RFC 9110, 5.6.1.2). Raises ``ValueError`` for a line that breaks the grammar.
    """
    return [offer for line in lines for offer in _parse_line(line)]


def _parse_line(line: str) -> Iterator[ExtensionOffer]:
    position = _skip_commas(line, 0)
    while position < len(line):
        name = _NAME.match(line, position)
        if name is None:
            raise ValueError(f"at character {position}: the name of an extension must be a token")
        parameters = []
        position = name.end()
        while (parameter := _PARAMETER.match(line, position)) is not None:
            parameters.append((parameter[1], _unquoted(parameter[2])))
            position = parameter.end()
        if position < len(line) and line[position] != ",":
            raise ValueError(f"at character {position}: expected a comma, or a semicolon and a parameter")
        yield ExtensionOffer(name[1], parameters)
        position = _skip_commas(line, position)


def _skip_commas(line: str, position: int) -> int:
    commas = _COMMAS.match(line, position)
    return commas.end() if commas else position


def _unquoted(value: str | None) -> str | None:
    if value is None or not value.startswith('"'):
        return value
    return value[1:-1].replace("\\", "")
