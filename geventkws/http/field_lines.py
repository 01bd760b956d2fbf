"""The lines of a request head, cut into names and values."""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.protocol.tokens import OWS

TOO_MANY = None
"""What is returned instead of the fields if there are too many."""


def cut_fields(head: bytes, start: int, max_fields: int) -> tuple[tuple[str, str], ...] | None:
    """Return the name and the value of each field of a head that llhttp has accepted, decoded as Latin-1.

    ``start`` is where the first field line begins; ``head`` ends with its empty line. The whitespace around
    a value is not part of it (RFC 9110, 5.6.3). Fields with ``_`` in their name are left out: the
    environ cannot tell it from ``-``, so such a name could pass for another. Returns ``TOO_MANY`` for
    more than ``max_fields`` lines. Raises ``ValueError`` for a line without a colon.
    """
    lines = head[start:].decode("latin-1").split("\r\n")[:-2]
    if len(lines) > max_fields:
        return TOO_MANY
    if not all(":" in line for line in lines):
        raise ValueError("the head has a line without a colon")
    fields = (line.partition(":") for line in lines)
    return tuple((name, value.strip(OWS)) for name, _, value in fields if "_" not in name)


use_compiled(__name__, globals())
