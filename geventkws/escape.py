"""Makes text from a peer safe for a line in a log or on a terminal; used throughout the package."""

from __future__ import annotations


def escape(value: object) -> str:
    r"""Return ``str(value)`` with unprintable characters, quotes and backslashes escaped as in Python.

    So nothing in it can end the line, colour or rearrange it, or close the quotes around it, and any log can
    encode it. Escapes are ``\xNN``, ``\uNNNN`` and ``\UNNNNNNNN``.
    """
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
