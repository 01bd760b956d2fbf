"""What the loop asks of its channels, and a channel of its owner.

These are base classes and not protocols so that compiled code calls the three that every message needs
in C.
"""

from __future__ import annotations

from geventkws.backend import use_compiled


class Corked:
    """Something that has bytes to send."""

    __slots__ = ()

    def flush(self) -> None:
        """Offer to the socket what waits to be sent. Never raises."""
        raise NotImplementedError


class Owner:
    """What a channel asks of the object that it moves bytes for. All of it is called in the hub.

    The names begin with an underscore because a ``WebSocketConnection`` is an owner, and its other names are
    for services.
    """

    __slots__ = ()

    def _readable(self) -> bool:
        """Receive what there is, until the turn is over; return whether there was anything."""
        raise NotImplementedError

    def _proceed(self) -> None:
        """Go on with what was left when the last turn was over."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Offer to the socket what waits to be sent."""
        raise NotImplementedError

    def _crashed(self, error: BaseException) -> None:
        """Drop the connection because of an error, of the socket or in our own code. Never raises."""
        raise NotImplementedError

    def _check(self, now: float) -> None:
        """Enforce the time limits; ``now`` is of ``time.monotonic``."""
        raise NotImplementedError

    def _hurry(self) -> None:
        """End as soon as that can be done in good order: the server stops."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """End now: the server has waited long enough."""
        raise NotImplementedError

    def _forsake(self) -> None:
        """Forget the connection and release the channel: in a child process both are the parent's."""
        raise NotImplementedError

    def _is_busy(self) -> bool:
        """Return whether an application or a service is not done with the connection yet."""
        raise NotImplementedError

    def _describe(self) -> str:
        """Return what the log calls the connection. Only called where it is busy."""
        raise NotImplementedError


use_compiled(__name__, globals())
