"""What is done around gunicorn's fork of a worker.

The worker gets a hub of its own at once: what uses gevent before, such as a ``post_fork`` hook that sleeps,
would run on the event loop of gunicorn's main process. Signals are held back until the worker's own handlers
are set: until then it has those of the main process, or none, and a SIGTERM would be lost, or end it at once.
"""

from __future__ import annotations

import os
import signal
from functools import cache

import gevent

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

_next_is_a_worker = False


def prepare_for_the_fork() -> None:
    """Hold signals back in this process, and in the worker that it forks next."""
    global _next_is_a_worker
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    _next_is_a_worker = True


def release_signals() -> None:
    """Let the signals come that were held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


@cache  # once is enough
def watch_forks() -> None:
    """From now on, do what must be done as soon as a worker has been forked."""
    os.register_at_fork(after_in_parent=_in_the_parent, after_in_child=_in_the_worker)


def _in_the_parent() -> None:
    global _next_is_a_worker
    _next_is_a_worker = False
    release_signals()


def _in_the_worker() -> None:
    global _next_is_a_worker
    if _next_is_a_worker:  # and not a process that the application forks
        _next_is_a_worker = False
        gevent.reinit()
