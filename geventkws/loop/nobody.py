"""The owner of a channel whose connection is over.

A channel and its owner refer to each other. Left like that, each connection would be work for the garbage
collector, which holds up everybody while it runs: once for every 330 connections or so.
"""

from __future__ import annotations

from geventkws.loop.loop import Loop
from geventkws.loop.roles import Owner


class Nobody(Owner):
    """Owns any number of channels, and does nothing with them; errors are still logged."""

    __slots__ = ("_loop",)

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def _readable(self) -> bool:
        return False

    def _proceed(self) -> None:
        """Do nothing: the connection ended before its turn came."""

    def _flush(self) -> None:
        """Do nothing: nothing more can be sent."""

    def _crashed(self, error: BaseException) -> None:
        """Explain an error in the code that has ended the connection."""
        self._loop.explain(error)

    def _check(self, now: float) -> None:
        """Do nothing: no limit applies any more."""

    def _hurry(self) -> None:
        """Do nothing: it has ended."""

    def _abandon(self) -> None:
        """Do nothing: it has ended."""

    def _forsake(self) -> None:
        """Do nothing: the channel was released."""

    def _is_busy(self) -> bool:
        return False

    def _describe(self) -> str:
        return "nobody"
