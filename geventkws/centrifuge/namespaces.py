"""What is kept of channels, and who may do what with them: by the namespace in front of the name.

The channel ``chat:lobby`` belongs to the namespace ``chat``; a name without ``:`` belongs to the default one,
which is called ``""``. Names and users are compared exactly, character by character: no case is folded and
nothing is normalized, so that there is only one way to write the name of a channel that has been restricted.

Two characters restrict a channel further, whatever its namespace allows. ``inbox:#42`` and
``dialogue:#42,43`` are for the users who are listed behind the ``#``; and a name that begins with ``$``, as
``$chat:board`` does, is only for those who have a token for it, or whom the application lets in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from geventkws.centrifuge.protocol.errors import ClientError, ErrorCode
from geventkws.pubsub import PubSub
from geventkws.pubsub.settings import MAX_CHANNEL, Patterns, Settings

BOUNDARY = ":"
PRIVATE = "$"
LISTED = "#"
SEPARATOR = ","

_DEPENDENTS = {
    "history_size": ("recover", "positioned", "may_read_history"),
    "presence": ("join_leave", "may_see_presence"),
}
"""Settings without which others have no effect."""

_NAME = re.compile(r"[-a-zA-Z0-9_]{2,}")


class Who(StrEnum):
    """Who may do something; the later ones include the earlier ones."""

    NOBODY = "nobody"
    SUBSCRIBERS = "subscribers"
    """Those who have subscribed to the channel."""
    USERS = "users"
    """Those too who have connected as a user, which means with a user's id that is not empty."""
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The settings of the channels of a namespace: nothing is kept and nothing is allowed unless it is said.

    ``presence`` keeps who has subscribed, and ``join_leave`` tells subscribers who comes and goes.
    ``history_size`` is how many publications are kept, 0 for none, and ``history_ttl`` for how many seconds.
    With ``recover``, clients that come back get what they have missed; with ``positioned``, it is checked
    that those who stay have missed nothing.

    ``may_subscribe``, ``may_publish``, ``may_see_presence`` and ``may_read_history`` say who may, without a
    token and without the application being asked: a ``Who``, or its value. With ``user_limited``, the users
    listed in the name of a channel behind ``#`` may subscribe to it.

    Raises ``TypeError`` or ``ValueError`` for what makes no sense.
    """

    presence: bool = False
    join_leave: bool = False
    history_size: int = 0
    history_ttl: float = 300.0
    recover: bool = False
    positioned: bool = False
    user_limited: bool = False
    may_subscribe: Who | str = Who.NOBODY
    may_publish: Who | str = Who.NOBODY
    may_see_presence: Who | str = Who.NOBODY
    may_read_history: Who | str = Who.NOBODY

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("may_"):
                object.__setattr__(self, field.name, _who(field.name, value))
            elif field.default is False and not isinstance(value, bool):
                raise TypeError(f"{field.name} is True or False, not {value!r}")
        Patterns().add("*", Settings(self.history_size, self.history_ttl, self.presence))  # checks them
        self._check_sense()

    def _check_sense(self) -> None:
        """Raise ``ValueError`` for a setting that could have no effect."""
        if self.may_subscribe is Who.SUBSCRIBERS:
            raise ValueError("may_subscribe says who may become a subscriber: nobody, users or everyone")
        for needed, dependents in _DEPENDENTS.items():
            for name in dependents:
                if getattr(self, name) not in (False, Who.NOBODY) and not getattr(self, needed):
                    raise ValueError(f"{name} has no effect without {needed}: set that as well, or neither")


def _who(name: str, value: object) -> Who:
    if not isinstance(value, str):
        raise TypeError(f"{name} is one of {', '.join(Who)}, not {value!r}")
    try:
        return Who(value)
    except ValueError:
        near = difflib.get_close_matches(value, list(Who), 1)
        hint = f": did you mean {str(near[0])!r}?" if near else ""
        raise ValueError(f"{name} is one of {', '.join(Who)}, not {value!r}{hint}") from None


class Namespaces:
    """The namespaces of a service, by name; the default one is called ``""``.

    Without a default one, channels without a namespace exist, but nothing is allowed on them. Raises
    ``TypeError`` or ``ValueError`` for names and settings that make no sense.
    """

    def __init__(self, namespaces: Mapping[str, Namespace] | None = None) -> None:
        self._namespaces = dict({} if namespaces is None else namespaces)
        for name, namespace in self._namespaces.items():
            _check_namespace(name, namespace)
        self._default = self._namespaces.get("", Namespace())

    def configure(self, pubsub: PubSub) -> None:
        """Let channels keep what the namespaces say."""
        for name, settings in sorted(self._namespaces.items()):
            for pattern in (f"{name}:*", f"{PRIVATE}{name}:*") if name else ("*",):
                pubsub.configure(pattern, settings.history_size, settings.history_ttl, settings.presence)

    def of(self, channel: str) -> Namespace:
        """Return the settings of a channel.

        Raises ``ClientError``: 107 (bad request) for what is not the name of a channel, and 102 (unknown
        channel) for a namespace that does not exist.
        """
        check_name(channel)
        name, boundary, _ = channel.removeprefix(PRIVATE).partition(BOUNDARY)
        if not boundary:
            return self._default
        found = self._namespaces.get(name) if name else None
        if found is None:
            raise ClientError(ErrorCode.UNKNOWN_CHANNEL)
        return found

    def check_subscribe(self, channel: str, user: str) -> None:
        """Raise ``ClientError`` unless a user (``""``: an anonymous one) may subscribe without a token."""
        settings = self.of(channel)
        if channel.startswith(PRIVATE):
            raise ClientError(ErrorCode.PERMISSION_DENIED)
        if LISTED in channel:
            _require(settings.user_limited and is_listed(channel, user))
        else:
            _require(_includes(settings.may_subscribe, user, False))

    def check_publish(self, channel: str, user: str, is_subscriber: bool) -> None:
        """Raise ``ClientError`` unless a user may publish, who is or is not a subscriber of the channel."""
        self._check(self.of(channel).may_publish, channel, user, is_subscriber)

    def check_presence(self, channel: str, user: str, is_subscriber: bool) -> None:
        """Raise ``ClientError`` unless a user may see who has subscribed; 108 if that is not kept."""
        settings = self.of(channel)
        _require(settings.presence, ErrorCode.NOT_AVAILABLE)
        self._check(settings.may_see_presence, channel, user, is_subscriber)

    def check_history(self, channel: str, user: str, is_subscriber: bool) -> None:
        """Raise ``ClientError`` unless a user may read what was published; 108 if that is not kept."""
        settings = self.of(channel)
        _require(bool(settings.history_size), ErrorCode.NOT_AVAILABLE)
        self._check(settings.may_read_history, channel, user, is_subscriber)

    def _check(self, who: Who | str, channel: str, user: str, is_subscriber: bool) -> None:
        _require(_includes(who, user, is_subscriber))
        if channel.startswith(PRIVATE) or LISTED in channel:
            _require(is_subscriber)  # what is not for everyone is not for every user, either


def check_name(channel: str) -> None:
    """Raise ``ClientError`` 107 (bad request) if this is not the name of a channel.

    A name has 1 to 255 bytes in UTF-8, and no control characters.
    """
    try:
        size = len(channel.encode())
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can express
        size = 0
    if not 0 < size <= MAX_CHANNEL or not _is_visible(channel):
        raise ClientError(ErrorCode.BAD_REQUEST, "invalid channel name")


def _is_visible(channel: str) -> bool:
    return not any(character < " " or "\x7f" <= character <= "\x9f" for character in channel)


def is_listed(channel: str, user: str) -> bool:
    """Return whether the name of a channel lists a user behind ``#``.

    Nobody is listed if there are several ``#``: it is not clear which users are meant.
    """
    listed = channel.partition(LISTED)[2]
    return bool(user) and LISTED not in listed and user in listed.split(SEPARATOR)


def _includes(who: Who | str, user: str, is_subscriber: bool) -> bool:
    if who == Who.EVERYONE:
        return True
    if who == Who.USERS:
        return bool(user) or is_subscriber
    return who == Who.SUBSCRIBERS and is_subscriber


def _require(is_allowed: bool, code: ErrorCode = ErrorCode.PERMISSION_DENIED) -> None:
    if not is_allowed:
        raise ClientError(code)


def _check_namespace(name: object, namespace: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a namespace is a str, not {name!r}")
    if name and not _NAME.fullmatch(name):
        raise ValueError(
            f"the name of a namespace has two or more letters from a to z, digits, '-' or '_', and no ':',"
            f" which {name!r} is not; that of the default namespace is ''"
        )
    if not isinstance(namespace, Namespace):
        raise TypeError(f"the settings of namespace {name!r} are a Namespace(...), not {namespace!r}")
