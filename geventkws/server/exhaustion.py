"""What a server does when the system has no descriptors or memory left for another connection."""

from __future__ import annotations

import errno
import logging
from typing import Any

from geventkws.server.hub_log import log
from geventkws.server.log_limit import LogLimit

logger = logging.getLogger("geventkws.server")

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of ``accept`` that go away when something has been freed (accept(2))."""

ACCEPT_PAUSE = 0.1
"""Seconds after which the server tries again after such an error."""

_TEXT = """\
No connection can be accepted for now: %s. Those that come wait until another has ended. Raise the limit of \
open files (ulimit -n), or keep below it with max_connections"""

_limit = LogLimit()


def is_exhaustion(error: OSError) -> bool:
    """Return whether an error of ``accept`` goes away when something has been freed."""
    return error.errno in EXHAUSTED


def pause_accepting(server: Any, error: OSError) -> None:
    """Leave new connections in the listener's queue until there may be descriptors again; log it.

    ``server`` is a ``gevent.server.StreamServer``: gevent pauses it so after other errors. Its annotations
    leave out the timer.
    """
    server.stop_accepting()
    server._timer = server.loop.timer(ACCEPT_PAUSE)
    server._timer.start(server._start_accepting_if_started)
    if _limit.allows():
        log(logger.error, _TEXT, error)
