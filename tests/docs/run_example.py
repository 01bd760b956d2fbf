"""Runs one block of the documentation: ``python -m tests.docs.run_example README.md:14``.

Without a place, it runs the blocks that its standard input names, each in a child. So what all of them import
is imported once: that takes longer than most blocks.

If the block's context has a visitor, the block is a program that serves: once the server listens, the visitor
connects, and then ends the program as Ctrl-C does. Any other block must end by itself.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging
import os
import re
import signal
import sys
from types import SimpleNamespace

import gevent
from gevent.event import AsyncResult
from greenlet import greenlet

from tests.docs.contexts import context_called
from tests.docs.contexts.context import Context
from tests.docs.examples import example_at
from tests.waiting import LONG, PATIENCE


class Listening(logging.Handler):
    """Reads from the server's log on which port it listens."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.port: AsyncResult[int] = AsyncResult()
        logger = logging.getLogger("geventkws.server")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"Listening on port (\d+)", record.getMessage()):
            self.port.set(int(found[1]))


def visit(context: Context, listening: Listening, program: greenlet) -> None:
    """Let the context visit the server, then end the program."""
    try:
        context.visit(f"127.0.0.1:{listening.port.get(timeout=PATIENCE)}")
    finally:
        gevent.kill(program, KeyboardInterrupt)


def next_ordered() -> str:
    """Return, in a child, the place of a block that is to run; the parent writes the child's exit status.

    A line of the standard input has the place, the child's working directory and the file for its errors.
    """
    # gevent's own would start its hub, which the child must not inherit.
    fork, waitpid = monkey.get_original("os", "fork"), monkey.get_original("os", "waitpid")
    for line in sys.stdin:
        place, directory, errors = line.rstrip("\n").split("\t")
        child = fork()
        if not child:
            signal.alarm(int(LONG))
            os.chdir(directory)
            sys.path[0] = directory
            for descriptor, path in enumerate((os.devnull, os.devnull, errors)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
            return place
        print(os.waitstatus_to_exitcode(waitpid(child, 0)[1]), flush=True)
    sys.exit()


def main(place: str) -> None:
    """Run the block at ``place`` in its context."""
    example = example_at(place)
    context = context_called(example.context)
    names = {"__name__": "__main__", **context.names()}
    visitor = None
    if context.serves:
        visitor = gevent.spawn(visit, context, Listening(), gevent.getcurrent())
    with gevent.Timeout(2 * PATIENCE):
        try:
            example.run(names)
        except KeyboardInterrupt:
            if visitor is None:
                raise
        if visitor is not None:
            visitor.get(timeout=PATIENCE)
        context.check(SimpleNamespace(**names))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else next_ordered())
