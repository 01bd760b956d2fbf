"""The nicknames in the chat: what one may look like, and that no two people have the same."""

from __future__ import annotations

import itertools
import unicodedata

NICK_LIMIT = 24
"""The most characters in a nick."""

GUEST = "guest-"
"""The beginning of the names that the server gives to those who have not chosen one."""


class NickError(ValueError):
    """A nick is not available; the text tells the person why."""


def clean_nick(value: object) -> str:
    """Return ``value`` as a nick: one line, normalised (NFKC), spaces folded.

    Raises ``NickError`` if it is empty, too long, or could be misread on a screen: it may have no invisible
    or direction-changing characters, and no colon, which separates a nick from its text in a plain client.
    """
    if not isinstance(value, str):
        raise NickError("A name must be text.")
    nick = " ".join(unicodedata.normalize("NFKC", value).split())
    if not nick:
        raise NickError("Please choose a name.")
    if len(nick) > NICK_LIMIT:
        raise NickError(f"A name has at most {NICK_LIMIT} characters; this one has {len(nick)}.")
    if ":" in nick or not nick.isprintable():
        raise NickError("A name cannot contain a colon or invisible characters.")
    if nick.casefold().startswith(GUEST):
        raise NickError(f"Names that begin with “{GUEST}” are reserved for the server.")
    return nick


class Names:
    """The nicks in use, compared without regard to case."""

    def __init__(self) -> None:
        """Start with none in use."""
        self._taken: set[str] = set()
        self._guests = itertools.count(1)

    def exchange(self, old: str | None, new: str) -> str:
        """Reserve ``new``, release ``old`` and return ``new``.

        Raises ``NickError`` if somebody else has it; ``old`` then stays reserved.
        """
        own = None if old is None else old.casefold()
        if new.casefold() in self._taken - {own}:
            raise NickError(f"Somebody here is called “{new}” already.")
        if old is not None:
            self.release(old)
        self._taken.add(new.casefold())
        return new

    def release(self, nick: str) -> None:
        """Let others have ``nick``."""
        self._taken.discard(nick.casefold())

    def guest(self) -> str:
        """Return a new nick for somebody who has not chosen one."""
        return f"{GUEST}{next(self._guests)}"
