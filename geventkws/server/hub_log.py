"""What is logged from anywhere, the hub included. A logging handler may wait, but the hub cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import get_hub, getcurrent

from geventkws.loop.loop import Loop


def log(function: Callable[..., object], *args: Any) -> None:
    """Call ``function``, which logs. In the hub, a worker does it."""
    if getcurrent() is get_hub():
        Loop.current().lend(_Call(function, *args))
    else:
        function(*args)


class _Call:
    """A call that may wait, made by a worker."""

    def __init__(self, function: Callable[..., object], *args: Any) -> None:
        self._function = function
        self._args = args

    def _work(self) -> None:
        Loop.current().guard(self._function, *self._args)

    def _blocked(self, worker: object) -> None:
        """Do nothing: nobody waits for the call."""
