"""After a fork, the connections still belong to the parent.

The child has a copy of everything: descriptors, watchers, greenlets. If nothing were done, it would accept
connections, answer them beside the parent and call its copies of the services; and a connection that the
parent closes would stay open for its peer. So the child lets go of all that at once.

The descriptors go first: a deaf socket takes over their numbers. Only then are the watchers stopped, because
they may still share the parent's epoll. It knows a descriptor by its number and its file, so what the child
does with these numbers no longer concerns the parent.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any, Protocol
from weakref import WeakSet

from geventkws.loop.loop import Loop
from geventkws.net.listeners import native_socket
from geventkws.server import signals

EXECUTORS = frozenset({("subprocess", "_execute_child"), ("gevent.subprocess", "_execute_child")})
"""Functions that fork to execute another program, which gets none of our descriptors."""


class Forsaker(Protocol):
    """A server that has been started."""

    _loop: Loop

    def _descriptors(self) -> Iterable[int]:
        """Return the descriptors of its listener and its connections."""

    def _forsake(self) -> None:
        """In a child process, forget them all and stop their watchers."""


_servers: WeakSet[Any] = WeakSet()
_deaf: int | None = None
"""The descriptor of a socket that is never readable: nobody has its other end."""


def forsake_after_fork(server: Forsaker) -> None:
    """Let child processes forget ``server``, which is being started."""
    global _deaf
    if _deaf is None:
        # Made now, since there may be no descriptor left after a fork; kept for the life of the process.
        with native_socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.setblocking(False)
            _deaf = deaf.detach()
        os.register_at_fork(after_in_child=_forsake_all)
    _servers.add(server)


def _forsake_all() -> None:
    if _deaf is None or not _servers or _will_execute():
        return
    servers = list(_servers)
    _servers.clear()
    for server in servers:
        for descriptor in server._descriptors():
            os.dup2(_deaf, descriptor, inheritable=False)
    signals.restore()
    for server in servers:
        # First: the thread that held its lock is none of the child's, where only the one that forked goes on.
        server._loop.go_on_after_fork()
        server._forsake()


def _will_execute() -> bool:
    """Return whether this fork is about to execute a program, and need not be slowed down."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in EXECUTORS:
            return True
        frame = frame.f_back
    return False
