"""SIGTERM and SIGINT end the servers of ``serve_forever`` gracefully; a second one ends the process at once.

This applies only to signals that the program leaves to us: a handler of its own is not touched, whether it
was set by the standard library or by gevent.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import gevent
from gevent import get_hub

GRACEFUL = (signal.SIGTERM, signal.SIGINT)
"""Service managers and ``docker stop`` send the first, Ctrl-C the second."""

_handler_in_c: Any = ctypes.pythonapi.PyOS_getsig
_handler_in_c.restype = ctypes.c_void_p
_handler_in_c.argtypes = (ctypes.c_int,)

_stops: list[Callable[[], object]] = []
_previous: dict[signal.Signals, Any] = {}


@contextmanager
def stopping_on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` in a greenlet at the first signal. Do nothing outside the main thread.

    If there are several servers, the first signal stops all of them.
    """
    if not get_hub().main_hub:
        yield
        return
    # A signal may come between any two lines: as long as the handlers are set, they know what to stop.
    _stops.append(stop)
    try:
        if len(_stops) == 1:
            _install()
        yield
    finally:
        if _stops == [stop]:
            restore()
        elif stop in _stops:  # a child process gave everything back when it was forked
            _stops.remove(stop)


def restore() -> None:
    """Restore the handlers from before, unless the program has set others in the meantime."""
    for number, previous in _previous.items():
        if signal.getsignal(number) in (_first, _second, signal.SIG_DFL):
            signal.signal(number, previous)
    _previous.clear()
    _stops.clear()


def _install() -> None:
    _previous.update((number, signal.getsignal(number)) for number in GRACEFUL if _is_free(number))
    for number in _previous:
        signal.signal(number, _first)


def _is_free(number: signal.Signals) -> bool:
    """Return whether the program has left the signal to Python."""
    if number is signal.SIGTERM:
        # gevent's handlers are set in C, where Python does not know of them.
        return signal.getsignal(number) is signal.SIG_DFL and not _handler_in_c(number)
    return (
        signal.getsignal(number) is signal.default_int_handler and _handler_in_c(number) == _pythons_handler()
    )


def _pythons_handler() -> int | None:
    """Return the address of the C function with which Python handles all signals."""
    # By default SIGURG is ignored: nothing is lost while it has a handler that does nothing.
    previous = signal.signal(signal.SIGURG, lambda number, frame: None)
    try:
        address: int | None = _handler_in_c(signal.SIGURG)
        return address
    finally:
        signal.signal(signal.SIGURG, previous)


def _first(number: int, frame: FrameType | None) -> None:
    """Stop the servers, in greenlets beside whatever is running now."""
    for each in _previous:
        if signal.getsignal(each) is _first:
            # The kernel's default action ends even a program that is stuck. But it spares process 1.
            signal.signal(each, _second if os.getpid() == 1 else signal.SIG_DFL)
    for stop in _stops:
        gevent.spawn(stop)


def _second(number: int, frame: FrameType | None) -> None:
    """End at once, with the status that shells give a program ended by the signal."""
    os._exit(128 + number)
