"""Takes messages from Redis. Its greenlet never waits for anything but them.

Whether the connection still works is found out by a message to ourselves, every few seconds: if nothing at
all arrives for longer than that, we are deaf, and connect again.
"""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event

from geventkws.pubsub.redis.link import LOST, Address, Backoff
from geventkws.pubsub.tally import TALLY

logger = logging.getLogger("geventkws.pubsub")

PROBE_INTERVAL = 5.0
"""Seconds between two messages to ourselves."""

DEAF_AFTER = 15.0
"""Seconds without any message after which the connection is given up."""

MAX_NAMES = 1000
"""The most channels in one command."""


class Reader:
    """The connection that messages come in on. All in the thread of one hub.

    ``subscribed(name)`` and ``received(name, data)`` are called for what comes, and must not wait;
    ``probe(inbox, message)`` publishes a message to ``inbox``.
    """

    def __init__(
        self,
        address: Address,
        prefix: str,
        subscribed: Callable[[str], None],
        received: Callable[[str, bytes], None],
        probe: Callable[[str, str], object],
    ) -> None:
        self.is_deaf = True
        """Whether messages do not come in now."""
        self._address = address
        self._inbox = f"{prefix}:node:{uuid.uuid4().hex}"
        self._on_subscribed = subscribed
        self._on_received = received
        self._probe = probe
        self._names: dict[str, None] = {self._inbox: None}
        self._changed: deque[str] = deque()
        self._has_changed = Event()
        self._link: Any = None
        self._was_connected = False
        self._greenlets = [gevent.spawn(work) for work in (self._read, self._write, self._listen_to_myself)]

    def add(self, name: str) -> None:
        """Take the messages of another channel. Never waits."""
        self._names[name] = None
        self._change(name)

    def remove(self, name: str) -> None:
        """Take them no longer. Never waits."""
        self._names.pop(name, None)
        self._change(name)

    def stop(self) -> None:
        """Close the connection for good."""
        gevent.killall(self._greenlets)

    def forsake(self) -> None:
        """Leave the connection to the parent process. Never waits."""
        gevent.killall(self._greenlets, block=False)

    def _change(self, name: str) -> None:
        self._changed.append(name)
        self._has_changed.set()

    # Three greenlets

    def _read(self) -> None:
        backoff = Backoff()
        while True:
            link: Any = None
            try:
                link = self._address.connection(DEAF_AFTER)
                link.connect()
                TALLY.reconnections += self._was_connected
                self._was_connected = True
                self._link = link
                self._changed.extend(self._names)
                self._has_changed.set()
                while True:
                    self._handle(link.read_response())
                    backoff.reset()
            except LOST as error:
                if not self.is_deaf or backoff.is_fresh:
                    logger.warning("no messages come from Redis until it is connected again: %s", error)
                self.is_deaf = True
            finally:
                self._link = None
                if link is not None:
                    link.disconnect()
            gevent.sleep(backoff.delay())

    def _handle(self, answer: Any) -> None:
        kind, name, data = answer[0], answer[1].decode(), answer[2]
        if kind == b"message":
            if name == self._inbox:
                self._hear_myself(data)
            else:
                self._receive(name, data)
        elif kind == b"subscribe":
            if name == self._inbox:
                self.is_deaf = False
            else:
                self._on_subscribed(name)

    def _hear_myself(self, data: bytes) -> None:
        with suppress(ValueError):  # a stranger's
            TALLY.delays.observe(max(0.0, monotonic() - float(data)))

    def _receive(self, name: str, data: bytes) -> None:
        try:
            self._on_received(name, data)
        except Exception:
            # Whatever a stranger has published: it must not end the reader.
            logger.exception("a message on %r cannot be understood", name)

    def _write(self) -> None:
        """Tell Redis which channels we want: each as it is wanted now, however often that has changed."""
        while True:
            self._has_changed.wait()
            self._has_changed.clear()
            while self._changed and self._link is not None:
                names = {self._changed.popleft() for _ in range(min(len(self._changed), MAX_NAMES))}
                wanted = names & self._names.keys()
                self._send("SUBSCRIBE", wanted)
                self._send("UNSUBSCRIBE", names - wanted)

    def _send(self, command: str, names: set[str]) -> None:
        link = self._link
        if names and link is not None:
            try:
                link.send_command(command, *names, check_health=False)
            except LOST:
                link.disconnect()  # the reader finds out, and everything is said again

    def _listen_to_myself(self) -> None:
        while True:
            gevent.sleep(PROBE_INTERVAL)
            try:
                self._probe(self._inbox, repr(monotonic()))
            except LOST as error:
                logger.debug("no message to ourselves: %s", error)
