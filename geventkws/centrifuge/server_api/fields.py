"""The fields of a request, each checked when it is asked for."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NoReturn

from geventkws.centrifuge.namespaces import check_name
from geventkws.centrifuge.protocol.errors import ClientError, ErrorCode
from geventkws.centrifuge.protocol.json_codec import dump
from geventkws.pubsub import Position


def refuse(problem: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> NoReturn:
    """Raise ``ClientError``, and say what is wrong."""
    raise ClientError(code, problem)


class Fields:
    """What a command says: a JSON object. Its methods raise ``ClientError`` 107 (bad request)."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, dict):
            refuse("a command must be a JSON object")
        self._values: Mapping[str, Any] = values

    def get(self, name: str) -> Any:
        """Return a field of any type, ``None`` if it is missing."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """Return a text, if there is one."""
        text: str | None = self._typed(name, str, "a string")
        return text

    def required(self, name: str) -> str:
        """Return a text that must be there."""
        return self.text(name) or refuse(f"{name} is missing")

    def channel(self) -> str:
        """Return the field ``channel``."""
        channel = self.required("channel")
        check_name(channel)
        return channel

    def number(self, name: str) -> int | None:
        """Return a whole number, if there is one."""
        if isinstance(self.get(name), bool):
            refuse(f"{name} must be an integer")
        number: int | None = self._typed(name, int, "an integer")
        return number

    def flag(self, name: str) -> bool:
        """Return a truth value, by default ``False``."""
        return bool(self._typed(name, bool, "true or false"))

    def items(self, name: str, limit: int) -> list[Any]:
        """Return a list that must be there, and of at most ``limit`` items."""
        items: list[Any] | None = self._typed(name, list, "an array")
        if not items:
            refuse(f"{name} is missing or empty")
        if len(items) > limit:
            refuse(f"{name} has {len(items)} items, and may have {limit}", ErrorCode.LIMIT_EXCEEDED)
        return items

    def part(self, name: str) -> Fields | None:
        """Return an object within this one, if there is one."""
        value = self._typed(name, dict, "an object")
        return None if value is None else Fields(value)

    def tags(self) -> dict[str, str]:
        """Return the field ``tags``."""
        tags: dict[str, Any] = self._typed("tags", dict, "an object") or {}
        if not all(isinstance(value, str) for value in tags.values()):
            refuse("the values of tags must be strings")
        return tags

    def data(self) -> bytes:
        """Return what is to be published: ``b64data`` if it is there, otherwise ``data``, in JSON."""
        encoded = self.text("b64data")
        try:
            if encoded is not None:
                return base64.b64decode(encoded, validate=True)
            if "data" not in self._values:
                refuse("data is missing")
            return dump(self.get("data"))
        except ValueError as error:
            refuse(f"{'data' if encoded is None else 'b64data'} cannot be published: {error}")

    def position(self, name: str) -> Position | None:
        """Return a position in a history, if there is one."""
        position = self.part(name)
        if position is None:
            return None
        return Position(position.number("offset") or 0, position.text("epoch") or "")

    def without(self, *names: str) -> None:
        """Raise ``ClientError`` 108 (not available) if a field is set that would have no effect."""
        for name in names:
            if self.get(name):
                refuse(f"{name} is not available", ErrorCode.NOT_AVAILABLE)

    def _typed(self, name: str, kind: type, what: str) -> Any:
        value = self.get(name)
        if value is not None and not isinstance(value, kind):
            refuse(f"{name} must be {what}")
        return value
