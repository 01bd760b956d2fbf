"""The protocol in JSON: a command or reply per line, and what applications send as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from geventkws.centrifuge.protocol.codec import Frame
from geventkws.centrifuge.protocol.fields import Field, Kind, fields_of
from geventkws.centrifuge.protocol.replies import Reply
from geventkws.centrifuge.protocol.requests import Command

Message = TypeVar("Message")

RANGES = {
    Kind.INT32: range(-(2**31), 2**31),
    Kind.INT64: range(-(2**63), 2**63),
    Kind.UINT32: range(2**32),
    Kind.UINT64: range(2**64),
}


class JSONCodec:
    """A ``Codec``."""

    name = "json"

    def decode(self, frame: Frame) -> list[Command]:
        text = frame if isinstance(frame, str) else frame.decode()
        commands = [_message(Command, _load(line)) for line in text.split("\n") if line.strip()]
        if not commands:
            raise ValueError("there is no command in the frame")
        return commands

    def encode(self, replies: Iterable[Reply]) -> str:
        return "\n".join(map(_object, replies))

    def is_data(self, data: bytes) -> bool:
        return is_json(data)


def is_json(data: bytes) -> bool:
    """Return whether this is one JSON value."""
    try:
        _load(data.decode())
    except ValueError:
        return False
    return True


def load(data: bytes) -> Any:
    """Return a value from JSON. Raises ``ValueError`` if it is none."""
    return _load(data.decode())


def dump(value: object) -> bytes:
    """Return a value as JSON. Raises ``TypeError`` or ``ValueError`` if JSON cannot express it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


# From JSON


def _message(kind: type[Message], value: object) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f"{kind.__name__} must be an object, not {type(value).__name__}")
    found = {}
    for field in fields_of(kind):
        content = value.get(field.name)
        if content is not None or (field.kind is Kind.RAW and field.name in value):
            found[field.name] = _value(field, content)
    return kind(**found)


def _value(field: Field, value: Any) -> Any:
    if field.is_list:
        _check(field, isinstance(value, list))
        return tuple(_single(field, one) for one in value)
    if field.is_map:
        _check(field, isinstance(value, dict))
        return {_text(field, name): _single(field, one) for name, one in value.items()}
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    if field.message is not None:
        return _message(field.message(), value)
    if field.kind is Kind.RAW:
        return dump(value)
    if field.kind is Kind.STRING:
        return _text(field, value)
    if field.kind is Kind.BOOL:
        _check(field, isinstance(value, bool))
    else:
        _check(field, isinstance(value, int) and not isinstance(value, bool) and value in RANGES[field.kind])
    return value


def _text(field: Field, value: Any) -> str:
    _check(field, isinstance(value, str))
    text: str = value
    text.encode()  # raises ValueError for half a surrogate pair
    return text


def _check(field: Field, is_right: bool) -> None:
    if not is_right:
        raise ValueError(f"the value of {field.name!r} is not of the type {field.kind.value}")


# To JSON


def _object(message: object) -> str:
    parts = []
    for field in fields_of(type(message)):
        value = getattr(message, field.name)
        if value or field.is_always_written or (value is not None and field.may_be_none):
            parts.append(f'"{field.name}":{_written(field, value)}')
    return "{" + ",".join(parts) + "}"


def _written(field: Field, value: Any) -> str:
    if field.is_list:
        return "[" + ",".join(_written_single(field, one) for one in value) + "]"
    if field.is_map:
        members = (f"{_quoted(name)}:{_written_single(field, one)}" for name, one in value.items())
        return "{" + ",".join(members) + "}"
    return _written_single(field, value)


def _written_single(field: Field, value: Any) -> str:
    if field.message is not None:
        return _object(value)
    if field.kind is Kind.RAW:
        # A line feed ends the reply. Within JSON, one can only be white space.
        return str(value.decode()).replace("\n", " ").replace("\r", " ")
    if field.kind is Kind.STRING:
        return _quoted(value)
    if field.kind is Kind.BOOL:
        return "true" if value else "false"
    return str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
