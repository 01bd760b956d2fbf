"""``--reload``: one process holds the listening sockets, another serves until a file changes.

The second process finds the descriptors of the sockets and of a pipe in its environment. A byte in the pipe
tells it to make way for the next process; the end of the pipe means that the first process is stopping, or
gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import TIMEOUT_MAX, Event
from types import FrameType
from typing import Any

import gevent
from gevent.os import make_nonblocking, nb_read

from geventkws.http.context import Application
from geventkws.net.listeners import native_socket
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.server.server import WebSocketServer

DESCRIPTORS = "GEVENTKWS_RELOAD_DESCRIPTORS"
"""The environment variable with the descriptors: the sockets in order, then the pipe."""

RESTART = b"r"

PATIENCE = 3.0
"""Seconds that the requests and WebSockets of a process have to end after a file has changed."""

LOOK = 100
"""Milliseconds between checks whether the process has ended."""

LONGEST_END = 2 * PATIENCE
"""Seconds after which a process that should make way is killed."""


# The process that serves


def is_child() -> bool:
    """Return whether this is the process that serves."""
    return DESCRIPTORS in os.environ


def inherited() -> tuple[list[int], int]:
    """Return the descriptors of the other process's sockets, and of the pipe for ``obey``; once."""
    *listeners, pipe = map(int, os.environ.pop(DESCRIPTORS).split(","))
    for descriptor in (*listeners, pipe):
        os.set_inheritable(descriptor, False)
    return listeners, pipe


def obey(pipe: int, restart: Callable[[], object], stop: Callable[[], object]) -> None:
    """Wait, in a greenlet, until the other process says what to do, and do it."""
    make_nonblocking(pipe)
    if nb_read(pipe, 1) == RESTART:
        restart()
    else:
        stop()


def serve_as_child(application: Application, **tls: Any) -> None:
    """Serve an application on the one socket of the other process, until that process says otherwise."""
    [descriptor], pipe = inherited()
    server = WebSocketServer(native_socket(fileno=descriptor), application, **tls)
    restart = partial(server.stop, PATIENCE, WebSocketCloseReasonCode.SERVICE_RESTART)
    gevent.spawn(obey, pipe, restart, server.stop)
    server.serve_forever()


# The process that holds the sockets


def hold(address: tuple[str, int], directory: str, say: Callable[[str], object]) -> int:
    """Listen on ``address`` for processes that ``serve_as_child``; the rest is as in ``watch``."""
    holder = WebSocketServer(address)
    try:
        holder.init_socket()
        return watch([holder.socket.fileno()], [directory], os.environ, say)
    finally:
        holder.close()


def watch(
    descriptors: Sequence[int],
    directories: Iterable[str],
    environ: Mapping[str, str],
    say: Callable[[str], object],
) -> int:
    """Start a process that serves on the sockets, and a new one when a file in the ``directories`` changes.

    That process runs the program of this one again, in the environment ``environ``; ``say`` tells the user
    what happens. Returns on SIGTERM or SIGINT, with the exit status of the last process. Raises
    ``ModuleNotFoundError`` without ``watchfiles``.
    """
    import watchfiles

    holder = _Holder(descriptors, environ, say)
    watching = watchfiles.watch(
        *directories,
        watch_filter=watchfiles.PythonFilter(),
        stop_event=holder.stopping,
        rust_timeout=LOOK,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    with holder.signals():
        next(watching, None)  # From here on, no change is missed: the process has read no file yet.
        holder.start()
        for changes in watching:
            if changes:
                say(f"{_names(changes)} changed: restarting")
                holder.restart()
            else:
                holder.look()
        return holder.end()


class _Holder:
    """Holds the sockets for a succession of processes that serve."""

    def __init__(
        self, descriptors: Sequence[int], environ: Mapping[str, str], say: Callable[[str], object]
    ) -> None:
        self.stopping = Event()
        self._say = say
        self._descriptors = descriptors
        self._environ = environ
        self._process: subprocess.Popen[bytes]
        self._pipe: int
        self._has_ended = False

    def start(self) -> None:
        """Start a process that serves."""
        theirs, self._pipe = os.pipe()
        passed = (*self._descriptors, theirs)
        self._process = subprocess.Popen(
            sys.orig_argv,
            executable=sys.executable,
            pass_fds=passed,
            env={**self._environ, DESCRIPTORS: ",".join(map(str, passed))},
        )
        os.close(theirs)
        self._has_ended = False

    def restart(self) -> None:
        """Let the process make way for another."""
        with suppress(BrokenPipeError):  # it has ended by itself
            os.write(self._pipe, RESTART)
        try:
            self._process.wait(LONGEST_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._pipe)
        self.start()

    def look(self) -> None:
        """Report it if the process has ended by itself."""
        if not self._has_ended and self._process.poll() is not None:
            self._has_ended = True
            self._say("Waiting for a file to change")

    def end(self) -> int:
        """Let the process stop, and return its exit status."""
        os.close(self._pipe)
        # With a limit, the wait polls: else a signal just before it would not be seen until the process ends.
        return self._process.wait(TIMEOUT_MAX)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Stop on the first SIGTERM or SIGINT, and pass SIGHUP on."""
        handlers = {signal.SIGTERM: self._first, signal.SIGINT: self._first, signal.SIGHUP: self._pass_on}
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _first(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._second)

    def _second(self, number: int, frame: FrameType | None) -> None:
        self._process.kill()
        os._exit(128 + number)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._process.send_signal(number)


def _names(changes: set[tuple[Any, str]]) -> str:
    return ", ".join(sorted({os.path.relpath(path) for _, path in changes}))
