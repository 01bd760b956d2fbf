"""Mutations of requests: a few changes, each of a kind at which readers of HTTP have disagreed.

The same seed, number and sources always give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from tests.differential.oddities import (
    CHUNK_ENDS,
    ENDS_OF_LINES,
    FIELDS,
    HANDSHAKE_FIELDS,
    METHODS,
    ODD_BYTES,
    SIZES,
    TARGETS,
    TRAILERS,
    VERSIONS,
)

Change = Callable[[Random, bytes], bytes]

MOST_CHANGES = 3

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_DELIMITER = re.compile(rb"\r\n|[ \t:;,=]")
_SIZE = re.compile(rb"(?<=Length: )[0-9]+|(?<=Version: )[0-9]+|(?<=_bits=)[0-9]+|(?<=\n)[0-9a-fA-F]+(?=\r\n)")
_CHUNK_SIZE = re.compile(rb"(?<=\n)[0-9a-fA-F]+(?=\r\n)")
_LAST_CHUNK = re.compile(rb"(?<=\n)0\r\n(?=\r\n)")
_LETTER = re.compile(rb"[A-Za-z]")
_NAME = re.compile(rb"(?<=\n)[A-Za-z][A-Za-z-]*(?=:)")
_VALUE = re.compile(rb"(?<=: )[^\r\n]+")


class Mutant(NamedTuple):
    """A changed request, its number, and the names of the changes."""

    number: int
    data: bytes
    changes: tuple[str, ...]


class Material(NamedTuple):
    """What mutants are made of: sources, changes, and what may follow on the same connection."""

    sources: Sequence[bytes]
    changes: Sequence[Change]
    behind: Sequence[bytes] = (b"",)


def mutants(material: Material, seed: int, numbers: range) -> Iterator[Mutant]:
    """Yield the mutants of these numbers: each a source with no or a few changes, and something behind it."""
    for number in numbers:
        random = Random(f"{seed}/{number}")
        data = random.choice(material.sources)
        chosen = random.choices(material.changes, k=random.randint(0, MOST_CHANGES))
        for change in chosen:
            data = change(random, data)
        data += random.choice(material.behind)
        yield Mutant(number, data, tuple(change.__name__ for change in chosen))


def replace_one(random: Random, pattern: re.Pattern[bytes], data: bytes, replacement: bytes) -> bytes:
    """Replace one of the matches; ``%s`` in the replacement stands for what was there."""
    found = list(pattern.finditer(data))
    if not found:
        return data
    match = random.choice(found)
    return data[: match.start()] + replacement.replace(b"%s", match[0]) + data[match.end() :]


def place(random: Random, data: bytes) -> int:
    """Choose where to change something: mostly beside a delimiter."""
    delimiters = list(_DELIMITER.finditer(data))
    if delimiters and random.random() < 0.7:
        return random.choice(random.choice(delimiters).span())
    return random.randint(0, len(data))


def insert_byte(random: Random, data: bytes) -> bytes:
    """Insert a byte, or a few, that may change what the others mean."""
    at = place(random, data)
    return data[:at] + random.choice(ODD_BYTES) + data[at:]


def replace_byte(random: Random, data: bytes) -> bytes:
    """Put such a byte in the place of another."""
    at = place(random, data)
    return data[:at] + random.choice(ODD_BYTES) + data[at + 1 :]


def delete_bytes(random: Random, data: bytes) -> bytes:
    """Delete one byte, or a few."""
    at = place(random, data)
    return data[:at] + data[at + random.choice((1, 1, 1, 2, 5)) :]


def repeat_bytes(random: Random, data: bytes) -> bytes:
    """Repeat a few bytes."""
    at = place(random, data)
    some = data[at : at + random.choice((1, 2, 4, 16))]
    return data[:at] + some * random.choice((2, 3, 50)) + data[at + len(some) :]


def swap_bytes(random: Random, data: bytes) -> bytes:
    """Swap two neighbours."""
    at = place(random, data)
    return data[:at] + data[at : at + 2][::-1] + data[at + 2 :]


def change_case(random: Random, data: bytes) -> bytes:
    """Change the case of a letter, or of the name of a field."""
    pattern = random.choice((_LETTER, _NAME))
    return replace_one(random, pattern, data, random.choice(pattern.findall(data) or [b""]).swapcase())


def change_line_end(random: Random, data: bytes) -> bytes:
    """End a line by something else."""
    return replace_one(random, _LINE_END, data, random.choice(ENDS_OF_LINES))


def fold_field(random: Random, data: bytes) -> bytes:
    """Continue a value on the next line (obs-fold)."""
    return replace_one(random, _VALUE, data, random.choice((b"\r\n %s", b"\r\n\t%s", b"%s\r\n ", b"\n %s")))


def change_name(random: Random, data: bytes) -> bytes:
    """Write the name of a field in a way that some take for the same."""
    odd = (b"%s ", b"%s\t", b" %s", b"%s\0", b"_%s", b"%s:", b"\xff%s", b"%s\r", b"X-%s", b"%s\x0b")
    name = random.choice(_NAME.findall(data) or [b""])
    return replace_one(random, _NAME, data, random.choice((*odd, name.replace(b"-", b"_"))))


def change_value(random: Random, data: bytes) -> bytes:
    """Write a value in a way that some take for the same, or leave it out."""
    odd = (
        b"%s ",
        b"\t%s",
        b'"%s"',
        b"%s,",
        b",%s",
        b"%s;x",
        b"%s, %s",
        b"\x0b%s",
        b"%s\0",
        b"",
        b"%s\x85",
        b"(c)%s",
    )
    return replace_one(random, _VALUE, data, random.choice(odd))


def change_size(random: Random, data: bytes) -> bytes:
    """Write a number in a way that some take for the same, or for another."""
    return replace_one(random, _SIZE, data, random.choice(SIZES))


def extend_chunk(random: Random, data: bytes) -> bytes:
    """Put something behind the size of a chunk."""
    return replace_one(random, _CHUNK_SIZE, data, b"%s" + random.choice(CHUNK_ENDS))


def add_trailer(random: Random, data: bytes) -> bytes:
    """Put a line behind the last chunk."""
    return replace_one(random, _LAST_CHUNK, data, b"0\r\n" + random.choice(TRAILERS) + b"\r\n")


def _edit_fields(random: Random, data: bytes, edit: Callable[[list[bytes]], list[bytes]]) -> bytes:
    end = _HEAD_END.search(data)
    if end is None:
        return data
    line, *fields = data[: end.start()].split(b"\r\n")
    return b"\r\n".join([line, *edit(fields)]) + data[end.start() :]


def duplicate_field(random: Random, data: bytes) -> bytes:
    """Send a field twice."""
    return _edit_fields(random, data, lambda fields: fields + fields[:1] if fields else fields)


def delete_field(random: Random, data: bytes) -> bytes:
    """Leave a field out."""
    return _edit_fields(random, data, lambda fields: random.sample(fields, max(len(fields) - 1, 0)))


def shuffle_fields(random: Random, data: bytes) -> bytes:
    """Send the fields in another order."""
    return _edit_fields(random, data, lambda fields: random.sample(fields, len(fields)))


def _insert(random: Random, fields: list[bytes], field: bytes) -> list[bytes]:
    at = random.randint(0, len(fields))
    return [*fields[:at], field, *fields[at:]]


def add_field(random: Random, data: bytes) -> bytes:
    """Add a field that says something about the framing, or is malformed."""
    return _edit_fields(random, data, lambda fields: _insert(random, fields, random.choice(FIELDS)))


def add_handshake_field(random: Random, data: bytes) -> bytes:
    """Add a field of a handshake, which may be there already."""
    return _edit_fields(random, data, lambda fields: _insert(random, fields, random.choice(HANDSHAKE_FIELDS)))


def replace_handshake_field(random: Random, data: bytes) -> bytes:
    """Put a field of a handshake in the place of those of that name."""
    field = random.choice(HANDSHAKE_FIELDS)
    name = field.partition(b":")[0].lower()

    def edit(fields: list[bytes]) -> list[bytes]:
        others = [each for each in fields if each.partition(b":")[0].lower() != name]
        return _insert(random, others, field)

    return _edit_fields(random, data, edit)


def change_request_line(random: Random, data: bytes) -> bytes:
    """Replace the method, the target or the version."""
    line, end, rest = data.partition(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3:
        return data
    which = random.randrange(3)
    parts[which] = random.choice((METHODS, TARGETS, VERSIONS)[which])
    return b" ".join(parts) + end + rest


def cut_short(random: Random, data: bytes) -> bytes:
    """Leave out the end."""
    return data[: place(random, data)]


ANYWHERE: tuple[Change, ...] = (
    *(insert_byte, insert_byte, replace_byte, delete_bytes, repeat_bytes, swap_bytes, change_case),
    *(change_line_end, fold_field, change_name, change_value, change_size, duplicate_field, delete_field),
    *(shuffle_fields, change_request_line),
)
"""Changes for any request."""

HTTP: tuple[Change, ...] = (
    *ANYWHERE,
    extend_chunk,
    extend_chunk,
    add_trailer,
    add_field,
    add_field,
    cut_short,
)
"""Changes for requests: those of their framing more often."""

HANDSHAKES: tuple[Change, ...] = (*ANYWHERE, *((add_handshake_field, replace_handshake_field) * 4))
"""Changes for handshakes: those of their fields more often."""
