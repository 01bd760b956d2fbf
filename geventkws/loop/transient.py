"""An owner for a short time, in which neither an application nor a service has the connection."""

from __future__ import annotations

from collections.abc import Callable

from geventkws.loop.channel import Channel
from geventkws.loop.roles import Owner


class TransientOwner(Owner):
    """What such owners have in common: nothing is lost when the connection ends."""

    __slots__ = ("_channel", "_on_over")

    def __init__(self, channel: Channel, on_over: Callable[[Channel], None]) -> None:
        """Become the owner of ``channel``; call ``on_over`` when it is closed, not when it is forsaken."""
        self._channel = channel
        self._on_over = on_over
        channel.owner = self

    def _crashed(self, error: BaseException) -> None:
        loop = self._channel.loop
        loop.explain(error)
        loop.guard(self._over)

    def _hurry(self) -> None:
        self._over()

    def _abandon(self) -> None:
        self._over()

    def _forsake(self) -> None:
        self._channel.release()

    def _is_busy(self) -> bool:
        return False

    def _over(self) -> None:
        """Close the connection. Idempotent."""
        if self._channel.is_open:
            self._channel.release()
            self._on_over(self._channel)
