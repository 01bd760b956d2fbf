"""What a server does when the system has no descriptors or memory left for another connection."""

from __future__ import annotations

import errno
import logging

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


def warn_of_exhaustion(error: OSError) -> None:
    """Log it, once a minute."""
    if _limit.allows():
        log(logger.error, _TEXT, error)
