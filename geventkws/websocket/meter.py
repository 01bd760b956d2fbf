"""How much a client may send per second: token buckets, one for messages and one for bytes.

A bucket holds what may arrive at once, ``rate_burst`` seconds' worth, and fills at its rate. A message is
counted when it is complete; bytes are counted as they are on the wire, with frame heads and control frames,
and compressed if messages are. Only connections of services with such a limit have a meter, and no meter
has a timer: the server's clock checks whether reading may go on.
"""

from __future__ import annotations

import logging
from typing import Literal, Protocol

from geventkws.loop.loop import Loop
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.once import first_time
from geventkws.protocol.endpoint import Endpoint

logger = logging.getLogger("geventkws.server")

RatePolicy = Literal["slow", "close"]
"""What happens to a client that sends more than it may."""

POLICIES: tuple[RatePolicy, ...] = ("slow", "close")

LEAST_BURST = 0.1
"""The shortest ``rate_burst``, in seconds: the clock looks eight times within it."""


class Limited(Protocol):
    """What a meter asks of a service."""

    max_message_rate: float | None
    max_byte_rate: float | None
    rate_burst: float
    rate_policy: RatePolicy


class Bucket:
    """Tokens, which accrue at a rate, up to a limit, and are used up by what arrives."""

    __slots__ = ("_capacity", "_filled_at", "_taken", "rate", "tokens", "unit")

    def __init__(self, unit: str, rate: float, burst: float, now: float) -> None:
        """Hold ``burst`` seconds' worth of ``rate``, but one token at least; full at ``now``."""
        self.unit = unit
        self.rate = rate
        self.tokens = self._capacity = max(rate * burst, 1.0)
        self._filled_at = now
        self._taken = 0

    def fill(self, now: float) -> None:
        """Add what has accrued by ``now``, a time of ``time.monotonic``."""
        if now > self._filled_at:
            self.tokens = min(self._capacity, self.tokens + (now - self._filled_at) * self.rate)
            self._filled_at = now

    def take(self, total: int, now: float) -> None:
        """Take a token for each of ``total`` that has not been counted yet; missing tokens are owed."""
        self.fill(now)
        self.tokens -= total - self._taken
        self._taken = total


class Meter:
    """Measures what arrives on one connection."""

    __slots__ = ("_buckets", "_bytes", "_messages", "_service", "closes", "is_empty")

    def __init__(self, service: Limited, now: float) -> None:
        burst = service.rate_burst
        self._messages = _bucket("messages", service.max_message_rate, burst, now)
        self._bytes = _bucket("bytes", service.max_byte_rate, burst, now)
        self._buckets = [each for each in (self._messages, self._bytes) if each is not None]
        self._service = service
        self.closes = service.rate_policy == "close"
        """Whether a client that sends too much must be closed."""
        self.is_empty = False
        """Whether nothing more may be read until the clock finds tokens again."""

    def size_to_read(self, size: int, secure: bool) -> int:
        """Return how many of ``size`` bytes to receive at once: no more than there are tokens for.

        With TLS (``secure``), a record that has begun to arrive must fit, too.
        """
        if self._bytes is None or self.closes:
            return size
        return min(size, max(int(self._bytes.tokens), 1) + (MAX_CIPHERTEXT if secure else 0))

    def fill(self, now: float) -> None:
        """Let tokens accrue until ``now``, a time of ``time.monotonic``."""
        for bucket in self._buckets:
            bucket.fill(now)
        self._look()

    def measure(self, endpoint: Endpoint, now: float) -> str | None:
        """Count what ``endpoint`` has received; return why the client must be closed, if so. In the hub."""
        if self._messages is not None:
            self._messages.take(endpoint.messages_received, now)
        if self._bytes is not None:
            self._bytes.take(endpoint.bytes_received, now)
        if self.closes:
            over = next((each for each in self._buckets if each.tokens < 0), None)
            if over is None:
                return None
            self._tell("Clients of %s that send more than %g %s per second are closed with 1008", over)
            return f"At most {over.rate:g} {over.unit} per second are accepted here"
        self._look()
        if self.is_empty:
            empty = min(self._buckets, key=lambda bucket: bucket.tokens)
            self._tell(
                "Clients of %s that send more than %g %s per second are read no faster than that", empty
            )
        return None

    def _look(self) -> None:
        self.is_empty = not self.closes and any(bucket.tokens < 1 for bucket in self._buckets)

    def _tell(self, text: str, bucket: Bucket) -> None:
        """Log, once for each service, that a limit has been reached. Not in the hub: a handler may wait."""
        if first_time(self._service, text):
            name = type(self._service).__name__
            Loop.current().call_in_worker(logger.warning, text, name, bucket.rate, bucket.unit)


def _bucket(unit: str, rate: float | None, burst: float, now: float) -> Bucket | None:
    return None if rate is None else Bucket(unit, rate, burst, now)


def meter_for(service: Limited, now: float) -> Meter | None:
    """Return a meter for a new connection; ``None`` if its service limits no rate."""
    if service.max_message_rate is None and service.max_byte_rate is None:
        return None
    return Meter(service, now)
