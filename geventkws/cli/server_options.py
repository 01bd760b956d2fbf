"""The server options as options of the command line: one for each field of ``ServerOptions``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from math import isfinite, nan
from typing import Any

import click

from geventkws.cli.help import Setting
from geventkws.cli.reference import Reference
from geventkws.options import ABOUT, BYTES, COUNT, KIB, MIB, SECONDS, ServerOptions, shown

NONE = "none"
"""How ``None`` is written in a shell, in the environment and in a file."""

_SIZES = {"mib": MIB, "m": MIB, "kib": KIB, "k": KIB}

_METAVARS = {SECONDS: "SECONDS", BYTES: "SIZE", COUNT: "N"}

_NAMED_METAVARS = {"upgrade_origins": "ORIGIN"}

_HOOKS = ("on_start", "on_stop")


def server_settings() -> Iterator[Setting]:
    """Yield an option of the command line for each field of ``ServerOptions``."""
    for field in fields(ServerOptions):
        yield _setting(field)


def _converter(name: str, annotation: str, parse: Callable[[str], object]) -> Callable[[Any], Any]:
    """Return a function that parses a given value, and checks it as ``WebSocketServer`` does."""

    def convert(value: Any) -> Any:
        try:
            if isinstance(value, str):
                value = None if value.lower() == NONE and "None" in annotation else parse(value)
            if not isinstance(value, Reference):  # the object itself is checked by the server
                is_list = annotation.startswith("tuple")
                ABOUT[name].check(name, [value] if is_list else value, annotation)
        except (TypeError, ValueError) as error:
            text = str(error).removeprefix(f"option {name!r} ")
            raise click.BadParameter(text.replace("(None:", f"({NONE}:")) from None
        return value

    return convert


def _setting(field: Field[Any]) -> Setting:
    about, annotation = ABOUT[field.name], str(field.type)
    kind = annotation.removesuffix(" | None")
    flag = "--" + field.name.replace("_", "-")
    text = about.limits if about.beyond is None else f"{about.limits}; beyond it: {about.beyond}"
    group = "Limits" if about.beyond is not None else "Application" if field.name in _HOOKS else "Server"
    common: dict[str, Any] = {
        "group": group,
        "help": _plain(text),
        "shown": shown(field.default, about.unit, NONE),
    }
    if kind == "bool":
        return Setting([f"{flag}/--no-{flag[2:]}"], is_flag=True, default=field.default, **common)
    if about.unit is None:
        metavar, parse = _PARSERS.get(field.name) or _PARSERS[kind]
    else:
        metavar, parse = _METAVARS[about.unit], _NUMBERS[kind]
    metavar = _NAMED_METAVARS.get(field.name, metavar)
    convert = _converter(field.name, annotation, parse)
    return Setting([flag], type=convert, metavar=metavar, multiple=kind.startswith("tuple"), **common)


def _whole(text: str) -> int:
    """Return a whole number, which may be a size: ``"65536"``, ``"64KiB"`` or ``"1 MiB"``."""
    digits, unit = text.strip().lower(), 1
    for suffix, size in _SIZES.items():
        if digits.endswith(suffix):
            digits, unit = digits.removesuffix(suffix).rstrip(), size
            break
    if not digits.isascii() or not digits.removeprefix("-").isdecimal():
        raise ValueError(f"must be a whole number such as 65536, or a size such as 64KiB, not {text!r}")
    return int(digits) * unit


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise ValueError(f"must be a number of seconds, not {text!r}")
    return value


def _mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise ValueError(f"must be an octal number such as 660, not {text!r}") from None


_NUMBERS: dict[str, Callable[[str], object]] = {"int": _whole, "float": _seconds}

_PARSERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "unix_socket_mode": ("MODE", _mode),
    "drain_code": ("CODE", _whole),
    "str": ("TEXT", str),
    "tuple[str, ...]": ("NETWORK", str),
    "Callable[[], object]": ("MODULE:FUNCTION", Reference.parse),
}


def _plain(text: str) -> str:
    return text.replace("`None`", NONE).replace("`", "")
