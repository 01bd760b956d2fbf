"""What callbacks grant to clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """A client may connect: what ``connect`` returns.

    ``user`` is who it is, ``""`` for somebody without a name; ``info`` is what others see of the client, and
    ``data`` is for the client itself: anything that JSON can express. ``channels`` are those that the client
    is subscribed to at once; a mapping may say more of each by ``Subscribed``. ``expires_at`` is when the
    connection expires, by ``time.time``: then ``refresh`` is called.
    """

    user: str
    info: Any = None
    data: Any = None
    channels: Sequence[str] | Mapping[str, Subscribed] = ()
    expires_at: float | None = None

    @property
    def subscriptions(self) -> Mapping[str, Subscribed]:
        """The channels, with what there is to say of each."""
        if isinstance(self.channels, Mapping):
            return self.channels
        return {channel: Subscribed() for channel in self.channels}


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A client may subscribe: what ``subscribe`` may return, if there is more to say than that.

    ``info`` is what others see of the client in this channel, and ``data`` is for the client itself: anything
    that JSON can express. ``expires_at`` is when the subscription ends, by ``time.time``.
    """

    info: Any = None
    data: Any = None
    expires_at: float | None = None
