"""What is logged from anywhere, the hub included. A logging handler may wait, but the hub cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import get_hub, getcurrent

from geventkws.loop.loop import Loop


def log(function: Callable[..., object], *args: Any) -> None:
    """Call ``function``, which logs. In the hub, a worker does it."""
    if getcurrent() is get_hub():
        Loop.current().call_in_worker(function, *args)
    else:
        function(*args)
