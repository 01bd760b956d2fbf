"""The greenlets that connections borrow."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Protocol

from gevent import getcurrent
from greenlet import greenlet

LOAN = object()
RETIRE = object()
DONE = object()

switch = greenlet.switch
"""The plain ``switch`` of a greenlet: ``Hub.switch`` passes no value."""


class Borrower(Protocol):
    """Something that borrows a worker."""

    def _work(self) -> None:
        """Do everything there is to do. Never raises."""

    def _blocked(self, worker: greenlet) -> None:
        """Remember that ``worker`` has blocked, and will go on in its own time. In the hub."""


class Worker(greenlet):
    """A greenlet that works for one connection after another.

    The hub sets ``away`` when the worker has blocked in a callback. Such a worker ends after its batch:
    something that it used while waiting (a timeout, a link, a pending kill) may still refer to it.
    """

    __slots__ = ("away",)

    def __init__(self, parent: greenlet) -> None:
        super().__init__(parent=parent)
        self.away = False

    def run(self, *loan: Any) -> None:
        hub: Any = self.parent
        while loan is not RETIRE:
            result = None
            # A switch from anywhere but the loop is ignored: somebody has kept this greenlet.
            if type(loan) is tuple and len(loan) == 2 and loan[0] is LOAN:
                borrower, loan = loan[1], ()
                borrower._work()
                del borrower
                if self.away:
                    return
                result = DONE
            loan = switch(hub, result)

    def throw(self, *args: Any) -> Any:
        """Throw into the greenlet unless it is dead: a late timeout must not hit the hub instead."""
        return None if self.dead else super().throw(*args)


def is_away() -> bool:
    """Return whether the calling greenlet has blocked since it was lent, or was never lent."""
    return bool(getattr(getcurrent(), "away", True))


def borrower_at_work() -> Borrower | None:
    """Return the borrower for which the calling greenlet works; ``None`` if it is not a worker.

    It is found in the frame of the worker's loop: too few callers ask for it to record it at every loan.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code is Worker.run.__code__:
            borrower: Borrower | None = frame.f_locals.get("borrower")
            return borrower
        frame = frame.f_back
    return None


class Idler:
    """A borrower that does nothing, to learn how many references there are to an idle worker."""

    def _work(self) -> None:
        """Do nothing."""

    def _blocked(self, worker: greenlet) -> None:
        """Never happens."""
