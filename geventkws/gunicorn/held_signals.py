"""Signals to a worker that has just been forked, held back until its own handlers are set.

Until then it has the handlers of gunicorn's main process, or none: a SIGTERM would be lost, or end it at
once.
"""

from __future__ import annotations

import os
import signal
from functools import cache

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def hold_signals_back() -> None:
    """Hold signals back in this process, and in the one that it forks next."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def release_signals() -> None:
    """Let the signals come that were held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


@cache  # once is enough
def let_parents_release() -> None:
    """Release signals in this process whenever it has forked."""
    os.register_at_fork(after_in_parent=release_signals)
