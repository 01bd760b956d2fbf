"""How the messages of the protocol are declared: as dataclasses whose fields have a number and a kind.

Of one declaration, both formats are made. A field that is left out, or has the value that it has then, is
not sent, except by JSON where clients need it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple


class Kind(Enum):
    """The type of a field."""

    STRING = "string"
    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"
    RAW = "bytes"
    """What the application sends: in Protobuf any bytes, in JSON any value."""
    MESSAGE = "message"


class Field(NamedTuple):
    """A field of a message; ``is_list`` and ``is_map`` (with strings as keys) say that it has many values."""

    name: str
    number: int
    kind: Kind
    message: Callable[[], type] | None = None
    is_list: bool = False
    is_map: bool = False
    is_always_written: bool = False
    """Whether JSON has it even if it has the value that it has when it is left out."""

    @property
    def may_be_none(self) -> bool:
        """Whether it is a message of its own, which is there even if nothing in it is set."""
        return self.message is not None and not self.is_list and not self.is_map


def _declare(default: object, number: int, kind: Kind, *rest: object) -> Any:
    metadata = {"declared": (number, kind, *rest)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def always(field: Any) -> Any:
    """Let JSON always have a field."""
    field.metadata = {**field.metadata, "always": True}
    return field


def string(number: int) -> Any:
    """Declare a text."""
    return _declare("", number, Kind.STRING)


def boolean(number: int) -> Any:
    """Declare a truth value."""
    return _declare(False, number, Kind.BOOL)


def integer(number: int, kind: Kind = Kind.UINT32) -> Any:
    """Declare a number."""
    return _declare(0, number, kind)


def raw(number: int) -> Any:
    """Declare what the application sends."""
    return _declare(b"", number, Kind.RAW)


def part(number: int, kind: Callable[[], type]) -> Any:
    """Declare another message, which is ``None`` if it is left out; ``kind()`` is its class."""
    return _declare(None, number, Kind.MESSAGE, kind)


def parts(number: int, kind: Callable[[], type]) -> Any:
    """Declare a tuple of messages."""
    return _declare((), number, Kind.MESSAGE, kind, True)


def parts_by_name(number: int, kind: Callable[[], type]) -> Any:
    """Declare a dict of messages."""
    return _declare({}, number, Kind.MESSAGE, kind, False, True)


def strings_by_name(number: int) -> Any:
    """Declare a dict of texts."""
    return _declare({}, number, Kind.STRING, None, False, True)


def _field(declared: dataclasses.Field[Any]) -> Field:
    field = Field(declared.name, *declared.metadata["declared"])
    return field._replace(is_always_written="always" in declared.metadata)


_fields: dict[type, tuple[Field, ...]] = {}


def fields_of(kind: type) -> tuple[Field, ...]:
    """Return the fields of a message."""
    found = _fields.get(kind)
    if found is None:
        found = tuple(map(_field, dataclasses.fields(kind)))
        _fields[kind] = found
    return found
