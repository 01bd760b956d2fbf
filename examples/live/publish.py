"""A weather station that does not exist publishes a reading every second: ``python publish.py``.

It is a program of its own, and knows nothing of Flask or of the clients: only the Redis that it shares with
the server, whose address is in GEVENTKWS_REDIS.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
import random
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from time import sleep, time

from channels import READINGS, channels

from geventkws.pubsub import BrokerUnavailable, PubSub

PAUSE = 1.0
"""Seconds between two readings."""


def readings() -> Iterator[dict[str, float]]:
    """Yield readings for ever, each a little different from the last one."""
    temperature, wind, humidity = 14.0, 12.0, 60.0
    while True:
        temperature = drift(temperature, 0.2, 6.0, 24.0)
        wind = drift(wind, 1.2, 0.0, 45.0)
        humidity = drift(humidity, 0.8, 30.0, 95.0)
        yield {"temperature": temperature, "wind": wind, "humidity": humidity}


def drift(value: float, by: float, lowest: float, highest: float) -> float:
    """Return a value near ``value``, and not beyond the limits."""
    return round(min(max(value + random.uniform(-by, by), lowest), highest), 2)


def publish(pubsub: PubSub, message: str) -> None:
    """Publish once, however often that has to be tried while Redis is away: that is what the key is for."""
    key = uuid.uuid4().hex
    while True:
        try:
            pubsub.publish(READINGS, message, key=key)
            return
        except BrokerUnavailable as error:
            print(f"Trying again: {error}", file=sys.stderr, flush=True)
            sleep(PAUSE)


def main() -> None:
    """Publish until the program is ended."""
    if not os.environ.get("GEVENTKWS_REDIS"):
        sys.exit("Set GEVENTKWS_REDIS to the address of the server's Redis, such as redis://localhost:6379")
    pubsub = channels()
    with suppress(KeyboardInterrupt):
        for reading in readings():
            publish(pubsub, json.dumps({**reading, "time": time()}))
            sleep(PAUSE)


if __name__ == "__main__":
    main()
