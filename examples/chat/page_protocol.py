"""The JSON messages between the chat's page and its server (the subprotocol ``chat.json``).

A page sends::

    {"type": "join", "nick": "Ann", "session": "…", "since": position}    first, and to change the nick
    {"type": "message", "text": "Hello", "key": "…"}

and receives::

    {"type": "welcome", "nick": …, "people": {id: nick}, "process": …,
     "recovered": …, "history": […], "position": …}
    {"type": "message", "nick": …, "text": …, "time": milliseconds, "key": …, "position": …}
    {"type": "sent", "key": …, "time": …, "position": …}    its own message is in the history
    {"type": "joined", "id": …, "nick": …}   {"type": "left", "id": …, "nick": …}
    {"type": "renamed", "id": …, "nick": …, "to": …, "position": …}
    {"type": "error", "code": …, "text": …, "key": …}       the text is for the person to read

``session`` is a secret of the page, by which the server recognizes it after a lost connection. A page may
have several connections for a while, of which one is lost: an ``id`` is that of a connection.

A ``position`` is that of a message in its room, ``[offset, epoch]``. A page that comes back says with
``since`` how far it has got: if it is ``recovered``, it has been sent everything since, before the welcome.
Otherwise, the ``history`` is what is left. A page sends a message again, with the same ``key``, until it is
told that it was ``sent``: it is published once.
"""

from __future__ import annotations

import json
import time
from typing import Any

from geventkws.pubsub import Position, Publication

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


def position_of(fields: Fields) -> Position | None:
    """Return the position up to which the page has got everything; ``None`` if it is new."""
    match fields.get("since"):
        case None:
            return None
        case [int(offset), str(epoch)] if 0 <= offset < 2**53 and len(epoch) <= TOKEN_LIMIT:
            return Position(int(offset), epoch)
    raise ChatError("invalid", "“since” must be a position: [offset, epoch].")


def said(nick: str, text: str, key: str, guest: bool = False) -> Fields:
    """Return the fields of a person's message, sent now; a ``guest`` sends it as bare text."""
    return {"nick": nick, "text": text, "time": round(time.time() * 1000), "key": key, "guest": guest}


def fields_of(publication: Publication) -> Fields | None:
    """Return what a page is to know of a publication; ``None`` for what it would not show."""
    fields: Fields = json.loads(publication.message)
    text = fields.get("text", "")
    if fields["type"] == "message" and not text.strip():
        return None
    if len(text) > TEXT_LIMIT:
        fields["text"] = f"{text[: TEXT_LIMIT - 1]}…"
    return {**fields, "position": publication.position}
