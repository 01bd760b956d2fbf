"""The names of people and rooms: what one may look like."""

from __future__ import annotations

import unicodedata

NAME_LIMIT = 24
"""The most characters in a name."""

GUEST = "guest-"
"""The beginning of the names that the server gives to those who have not chosen one."""


class NameProblem(ValueError):
    """A name will not do; the text tells the person why."""


def clean_nick(value: object) -> str:
    """Return ``value`` as a nick: one line, normalised (NFKC), spaces folded.

    Raises ``NameProblem`` if it is empty, too long, or could be misread on a screen: it may have no invisible
    or direction-changing characters, and no colon, which separates a nick from its text in a plain client.
    """
    nick = _clean(value)
    if ":" in nick:
        raise NameProblem("A name cannot contain a colon or invisible characters.")
    if nick.casefold().startswith(GUEST):
        raise NameProblem(f"Names that begin with “{GUEST}” are reserved for the server.")
    return nick


def clean_room(value: object) -> str:
    """Return ``value`` as the name of a room: as a nick, but in small letters, and without slashes.

    Raises ``NameProblem`` if it will not do.
    """
    room = _clean(value).casefold()
    if "/" in room:
        raise NameProblem("The name of a room cannot contain a slash.")
    return room


def _clean(value: object) -> str:
    if not isinstance(value, str):
        raise NameProblem("A name must be text.")
    name = " ".join(unicodedata.normalize("NFKC", value).split())
    if not name:
        raise NameProblem("Please choose a name.")
    if len(name) > NAME_LIMIT:
        raise NameProblem(f"A name has at most {NAME_LIMIT} characters; this one has {len(name)}.")
    if not name.isprintable():
        raise NameProblem("A name cannot contain a colon or invisible characters.")
    return name
