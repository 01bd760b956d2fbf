"""Runs one block of the documentation: ``python -m tests.docs.run_example README.md:14``.

If the block's context has a visitor, the block is a program that serves: once the server listens, the visitor
connects, and then ends the program as Ctrl-C does. Any other block must end by itself.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging
import re
import sys
from types import SimpleNamespace

import gevent
from gevent.event import AsyncResult
from greenlet import greenlet

from tests.docs.contexts import context_called
from tests.docs.contexts.context import Context
from tests.docs.examples import example_at
from tests.waiting import PATIENCE


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
    main(sys.argv[1])
