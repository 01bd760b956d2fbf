"""An application that has not answered within ``request_timeout`` is ended, and the log says where it was."""

from __future__ import annotations

import traceback

import gevent

from geventkws.http.errors import ApplicationTimeoutError
from geventkws.http.head import RequestHead
from geventkws.http.log import logger
from geventkws.http.stream import Stream


def end_overdue(stream: Stream, head: RequestHead, limit: float) -> None:
    """Throw ``ApplicationTimeoutError`` into the greenlet that answers ``head`` on ``stream``. In the hub."""
    stack = "".join(traceback.format_stack(stream.greenlet.gr_frame))
    text = "The application has not answered %s %r within %g s, and is ended here:\n%s"
    stream.channel.loop.call_in_worker(logger.error, text, head.method, head.target, limit, stack)
    gevent.kill(stream.greenlet, ApplicationTimeoutError)
