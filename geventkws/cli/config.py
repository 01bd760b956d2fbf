"""Options in a file: ``geventkws.toml``, or the table ``[tool.geventkws]`` of ``pyproject.toml``."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from geventkws.cli.errors import USAGE, Failure

OWN = Path("geventkws.toml")
SHARED = Path("pyproject.toml")


def use_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Use the options in a file as defaults (the callback of ``--config``)."""
    path = path or next((each for each in (OWN, SHARED) if each.is_file()), None)
    if path is None:
        return None
    table = read_toml(path)
    if path.name == SHARED.name:
        table = _table(table, "tool", "geventkws")
    known = {getattr(each, "key", each.name or ""): each for each in ctx.command.params if each is not param}
    ctx.default_map = dict(_defaults(table, known, path))
    return path


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{path}: {error}") from None


def _table(table: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        found = table.get(name)
        table = found if isinstance(found, dict) else {}
    return table


def _defaults(
    table: dict[str, Any], known: dict[str, click.Parameter], path: Path
) -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Failure(USAGE, f"{path}: there is no option {key!r}{hint}")
        yield known[name].name or name, _value(value, known[name], f"{path}: {key}")


def _value(value: Any, param: click.Parameter, where: str) -> Any:
    """Return a value in the form of the command line: a table becomes ``"key=value"`` pairs."""
    if getattr(param, "multiple", False):
        if isinstance(value, dict):
            return [f"{key}={_joined(each)}" for key, each in value.items()]
        return value if isinstance(value, list) else [value]
    if isinstance(value, (dict, list)):
        raise Failure(USAGE, f"{where} must be one value, not {value!r}")
    return value


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
