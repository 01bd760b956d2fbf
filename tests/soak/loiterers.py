"""Clients that keep a connection open and hardly use it: whatever they say at last must be answered."""

from __future__ import annotations

from contextlib import closing, suppress
from time import monotonic

import gevent
import websocket

from tests.soak.healthy import Kind, Life
from tests.waiting import PATIENCE

STAYS = (5.0, 60.0)
"""Seconds between two requests or messages: less than the server waits for a request."""


def resting(life: Life) -> None:
    """Say something over a WebSocket, wait with nothing but pings and pongs, and say something again."""
    with closing(life.websocket("/echo")) as connection:
        greet(life, connection, "hello")
        until = min(life.until, monotonic() + life.random.uniform(*STAYS))
        while (left := until - monotonic()) > 0:
            connection.settimeout(left)
            with suppress(websocket.WebSocketTimeoutException):
                life.expect(websocket.ABNF.OPCODE_PING, connection.recv_data(control_frame=True)[0])
        connection.settimeout(PATIENCE)
        greet(life, connection, "still here")


def greet(life: Life, connection: websocket.WebSocket, word: str) -> None:
    """Say a word, which must come back."""
    began = monotonic()
    connection.send(word)
    life.expect(word, connection.recv())
    life.waited(began)
    life.tally.messages += 1


def kept(life: Life) -> None:
    """Ask for two pages over one connection, with a long pause between."""
    with closing(life.http()) as connection:
        for number in range(2):
            life.page(connection, number)
            left = life.until - monotonic()
            if number == 0 and left > 0:
                gevent.sleep(min(left, life.random.uniform(*STAYS)))


KINDS: tuple[Kind, ...] = (resting, kept)
