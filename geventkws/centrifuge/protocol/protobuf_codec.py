"""The protocol in Protobuf: commands and replies one after the other, each with its length in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from geventkws.centrifuge.protocol.codec import Frame
from geventkws.centrifuge.protocol.fields import Field, Kind, fields_of
from geventkws.centrifuge.protocol.replies import Reply
from geventkws.centrifuge.protocol.requests import Command

Message = TypeVar("Message")

PACKAGE = "geventkws.centrifuge"
_Type = descriptor_pb2.FieldDescriptorProto

TYPES = {
    Kind.STRING: _Type.TYPE_STRING,
    Kind.BOOL: _Type.TYPE_BOOL,
    Kind.INT32: _Type.TYPE_INT32,
    Kind.INT64: _Type.TYPE_INT64,
    Kind.UINT32: _Type.TYPE_UINT32,
    Kind.UINT64: _Type.TYPE_UINT64,
    Kind.RAW: _Type.TYPE_BYTES,
    Kind.MESSAGE: _Type.TYPE_MESSAGE,
}


class ProtobufCodec:
    """A ``Codec``."""

    name = "protobuf"

    def decode(self, frame: Frame) -> list[Command]:
        if isinstance(frame, str):
            raise ValueError("Protobuf must be sent as binary")
        commands = [_read(Command, COMMAND, body) for body in split(frame)]
        if not commands:
            raise ValueError("there is no command in the frame")
        return commands

    def encode(self, replies: Iterable[Reply]) -> bytes:
        return b"".join(with_length(_filled(REPLY(), reply).SerializeToString()) for reply in replies)

    def is_data(self, data: bytes) -> bool:
        return True


# Lengths


def split(frame: bytes) -> Iterable[bytes]:
    """Yield what is in a frame. Raises ``ValueError`` where a length does not fit."""
    position = 0
    while position < len(frame):
        size, start = read_varint(frame, position)
        position = start + size
        if position > len(frame):
            raise ValueError(f"{size} bytes are announced, and {len(frame) - start} are there")
        yield frame[start:position]


def read_varint(frame: bytes, position: int) -> tuple[int, int]:
    """Return the number that begins at ``position``, and the position after it."""
    number = 0
    for shift in range(0, 35, 7):
        if position == len(frame):
            raise ValueError("the frame ends within a length")
        byte = frame[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a length is too long")


def with_length(body: bytes) -> bytes:
    """Return a message with its length in front."""
    size, length = len(body), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + body


# Messages


def _read(kind: type[Message], read: Any, body: bytes) -> Message:
    try:
        return _from(kind, read.FromString(body))
    except DecodeError as error:
        raise ValueError(f"this is not a {kind.__name__} in Protobuf: {error}") from None


def _from(kind: type[Message], source: Any) -> Message:
    found = {}
    for field in fields_of(kind):
        if not field.may_be_none or source.HasField(field.name):
            found[field.name] = _value(field, getattr(source, field.name))
    return kind(**found)


def _value(field: Field, value: Any) -> Any:
    if field.is_list:
        return tuple(_single(field, one) for one in value)
    if field.is_map:
        return {name: _single(field, one) for name, one in value.items()}
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    return value if field.message is None else _from(field.message(), value)


def _filled(target: Any, message: object) -> Any:
    """Set the fields of ``target``, and return it."""
    for field in fields_of(type(message)):
        value = getattr(message, field.name)
        if field.message is None and not field.is_map:
            setattr(target, field.name, value)
        elif value is not None:
            _fill_in(field, getattr(target, field.name), value)
    return target


def _fill_in(field: Field, target: Any, value: Any) -> None:
    if field.is_list:
        for one in value:
            _filled(target.add(), one)
    elif field.is_map and field.message is None:
        target.update(value)
    elif field.is_map:
        for name, one in value.items():
            _filled(target[name], one)
            target[name].SetInParent()
    else:
        target.SetInParent()  # it is there, even if nothing in it is set
        _filled(target, value)


# The description, made of the declarations


def _describe(file: Any, kind: type) -> None:
    """Add a message, and those that it consists of, to a file."""
    if any(described.name == kind.__name__ for described in file.message_type):
        return
    described = file.message_type.add(name=kind.__name__)
    for field in fields_of(kind):
        _add(described, field, field.message().__name__ if field.message else "")
    for field in fields_of(kind):
        if field.message is not None:
            _describe(file, field.message())


def _add(described: Any, field: Field, message: str) -> None:
    is_many = field.is_list or field.is_map
    added = described.field.add(name=field.name, number=field.number, type=TYPES[field.kind])
    added.label = _Type.LABEL_REPEATED if is_many else _Type.LABEL_OPTIONAL
    if message:
        added.type_name = f".{PACKAGE}.{message}"
    if field.is_map:
        name = "".join(word.capitalize() for word in field.name.split("_")) + "Entry"
        entry = described.nested_type.add(name=name)
        entry.options.map_entry = True
        _add(entry, Field("key", 1, Kind.STRING), "")
        _add(entry, Field("value", 2, field.kind), message)
        added.type, added.type_name = _Type.TYPE_MESSAGE, f".{PACKAGE}.{described.name}.{name}"


def _classes() -> tuple[Any, Any]:
    """Return the classes of commands and replies in Protobuf."""
    file = descriptor_pb2.FileDescriptorProto(name="geventkws/centrifuge", package=PACKAGE, syntax="proto3")
    for kind in (Command, Reply):
        _describe(file, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = (f"{PACKAGE}.{kind.__name__}" for kind in (Command, Reply))
    command, reply = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return command, reply


COMMAND, REPLY = _classes()
