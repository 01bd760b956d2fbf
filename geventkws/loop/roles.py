"""What the loop asks of its channels, and a channel of its owner.

These are base classes, not protocols, so that compiled code can call in C the three methods that every
message needs.
"""

from __future__ import annotations

from geventkws.backend import use_compiled


class Corked:
    """Something that has bytes to send."""

    __slots__ = ()

    def flush(self) -> None:
        """Offer the waiting output to the socket. Never raises."""
        raise NotImplementedError


class Owner:
    """What a channel asks of the object that it moves bytes for. All methods are called in the hub.

    Their names begin with an underscore because a ``WebSocketConnection`` is an owner, and its other names
    are for services.
    """

    __slots__ = ()

    def _readable(self) -> bool:
        """Receive what there is, until the turn is over; return whether there was anything."""
        raise NotImplementedError

    def _proceed(self) -> None:
        """Go on with what was left when the last turn ended."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Offer the waiting output to the socket."""
        raise NotImplementedError

    def _crashed(self, error: BaseException) -> None:
        """Drop the connection because of an error on the socket or in our own code. Never raises."""
        raise NotImplementedError

    def _check(self, now: float) -> None:
        """Enforce the time limits; ``now`` is the time by ``time.monotonic``."""
        raise NotImplementedError

    def _hurry(self) -> None:
        """End as soon as possible in good order: the server is stopping."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """End at once: the server has waited long enough."""
        raise NotImplementedError

    def _forsake(self) -> None:
        """Forget the connection and release the channel: in a child process, both belong to the parent."""
        raise NotImplementedError

    def _is_busy(self) -> bool:
        """Return whether an application or a service is still busy with the connection."""
        raise NotImplementedError

    def _describe(self) -> str:
        """Return what the log calls the connection. Only called while it is busy."""
        raise NotImplementedError


use_compiled(__name__, globals())
