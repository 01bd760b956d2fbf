"""What is kept for which channels."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from typing import NamedTuple

MAX_CHANNEL = 255
"""The longest name of a channel, in bytes of UTF-8."""

MAX_TTL = 10 * 366 * 24 * 3600
"""The longest that a history may be kept, in seconds: no channel is kept for ever."""


class Settings(NamedTuple):
    """What is kept for a channel: that many publications for that many seconds, and who is there."""

    history_size: int = 0
    history_ttl: float = 300.0
    presence: bool = False


NOTHING = Settings()

Matches = Callable[[str], object]
"""Returns something true for names that match."""


class Patterns:
    """The settings of channels, by patterns of their names."""

    def __init__(self) -> None:
        self._patterns: dict[str, tuple[Matches, Settings]] = {}

    def add(self, pattern: str, settings: Settings) -> None:
        """Let ``settings`` apply to channels that match ``pattern``, even if they match earlier ones."""
        check_channel(pattern)
        if isinstance(settings.history_size, bool) or not isinstance(settings.history_size, int):
            raise TypeError(f"history_size is a number of publications, not {settings.history_size!r}")
        if settings.history_size < 0:
            raise ValueError(f"history_size must not be negative, as {settings.history_size} is")
        if isinstance(settings.history_ttl, bool) or not isinstance(settings.history_ttl, (int, float)):
            raise TypeError(f"history_ttl is a number of seconds, not {settings.history_ttl!r}")
        if not 0 < settings.history_ttl <= MAX_TTL:
            raise ValueError(
                f"history_ttl must be more than 0 seconds, and at most {MAX_TTL}, not {settings.history_ttl}"
            )
        matches = matcher(pattern)
        # The new pattern comes first. A new dict: another thread may be looking into the old one.
        others = {key: value for key, value in self._patterns.items() if key != pattern}
        self._patterns = {pattern: (matches, settings), **others}

    def settings_of(self, channel: str) -> Settings:
        """Return what is kept for a channel: nothing, if no pattern matches its name."""
        for matches, settings in self._patterns.values():
            if matches(channel):
                return settings
        return NOTHING


def matcher(pattern: str) -> Matches:
    """Return what says whether a name matches a pattern, where ``*`` stands for anything."""
    return re.compile(translate(pattern)).match


def check_channel(channel: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` if this is not the name of a channel."""
    if not isinstance(channel, str):
        raise TypeError(f"the name of a channel is a str, not {channel!r}")
    if not channel:
        raise ValueError("the name of a channel must not be empty")
    if len(channel.encode()) > MAX_CHANNEL:
        raise ValueError(f"the name of a channel must be at most {MAX_CHANNEL} bytes long: {channel!r}")
