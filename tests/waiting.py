"""How long a test waits for what must happen, and how."""

from __future__ import annotations

from collections.abc import Callable

import gevent

PATIENCE = 20.0
"""Seconds to wait for what must happen: a busy machine may take its time, and a test that passes does not."""

LONG = 60.0
"""Seconds that no test waits: whoever gets this much time must not need it."""


def wait_until(is_so: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until ``is_so()``, for up to ``patience`` seconds, while greenlets and the hub run."""
    with gevent.Timeout(patience, AssertionError("what must happen has not happened")):
        while not is_so():
            gevent.sleep(0.002)
