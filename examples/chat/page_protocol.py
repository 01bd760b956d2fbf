"""The JSON messages between the chat's page and its server (the subprotocol ``chat.json``).

A page sends::

    {"type": "join", "nick": "Ann", "session": "…"}     first, and again to change the nick
    {"type": "message", "text": "Hello", "key": "…"}

and receives::

    {"type": "welcome", "nick": …, "people": […], "history": […]}    it is in; the history has messages
    {"type": "joined", "nick": …}   {"type": "left", "nick": …}   {"type": "renamed", "nick": …, "to": …}
    {"type": "message", "nick": …, "text": …, "time": milliseconds, "key": …}   also its own, with its own key
    {"type": "error", "code": …, "text": …, "key": …}                the text is for the person to read

``session`` is a secret of the page, by which the server recognizes it after a lost connection.
"""

from __future__ import annotations

import json
import time
from typing import Any

TEXT_LIMIT = 2000
"""The most characters in a page's message."""

TOKEN_LIMIT = 64
"""The most characters in a page's session and a message's key."""

Fields = dict[str, Any]


class ChatError(Exception):
    """A page's message cannot be acted on; ``code`` is for the page, the text for the person."""

    def __init__(self, code: str, text: str, key: str | None = None) -> None:
        """Answer with ``code`` and ``text``; ``key`` identifies the message in question."""
        super().__init__(text)
        self.code = code
        self.key = key

    def encode(self) -> str:
        """Return the error as a message to the page."""
        return encode("error", code=self.code, text=str(self), key=self.key)


def encode(kind: str, **fields: Any) -> str:
    """Return a message to the page as JSON text."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def decode(message: str) -> Fields:
    """Return what a page sent; raises ``ChatError`` unless it is a JSON object of Unicode text."""
    try:
        fields = json.loads(message)
        encode("check", fields=fields).encode()  # "\ud800" is valid JSON, but cannot be passed on
    except UnicodeEncodeError:
        raise ChatError("invalid", "The message contains half a character (an unpaired surrogate).") from None
    except (ValueError, RecursionError):
        raise ChatError("invalid", "The message is not valid JSON.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise ChatError("invalid", "The message must be a JSON object with a “type”.")
    return fields


def token(fields: Fields, name: str) -> str | None:
    """Return the field ``name``, an identifier chosen by the page; ``None`` if there is none."""
    value = fields.get(name)
    if value is None or (isinstance(value, str) and 0 < len(value) <= TOKEN_LIMIT):
        return value
    raise ChatError("invalid", f"“{name}” must be a text of 1 to {TOKEN_LIMIT} characters.")


def text_of(fields: Fields) -> str:
    """Return what the person wrote, stripped; raises ``ChatError`` if it is empty or too long."""
    text = fields.get("text")
    key = token(fields, "key")
    if not isinstance(text, str) or not text.strip():
        raise ChatError("text", "There is nothing in that message.", key)
    text = text.strip()
    if len(text) > TEXT_LIMIT:
        problem = f"A message has at most {TEXT_LIMIT} characters; this one has {len(text)}."
        raise ChatError("text", problem, key)
    return text


def said(nick: str, text: str, key: str | None) -> Fields:
    """Return the fields of a person's message; ``key`` is the sender's identifier for it."""
    return {"nick": nick, "text": text, "time": round(time.time() * 1000), "key": key}


def shortened(text: str) -> str:
    """Return ``text``, cut to the length that a page may write."""
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"
