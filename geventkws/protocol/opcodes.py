"""Opcodes (RFC 6455, section 5.2)."""

from __future__ import annotations

from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIRST_CONTROL_OPCODE: Final = 0x8
"""The high bit of an opcode distinguishes control frames from data frames (RFC 6455, section 5.5)."""

ASSIGNED: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

MAX_CONTROL_PAYLOAD: Final = 125
"""The most bytes in the payload of a control frame (RFC 6455, section 5.5)."""
