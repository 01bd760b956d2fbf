"""What every server of the channel workloads does, and how it is asked for it.

- A connection on ``/channel`` gets what is published on ``CHANNEL``, and what it sends is published there.
  With ``?subscriptions=N``, it subscribes to so many channels of its own instead.
- What a connection on ``/publish`` sends is published on ``ELSEWHERE``, to which nobody has subscribed, and
  then sent back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from urllib.parse import parse_qs

CHANNEL = "channel"
ELSEWHERE = "elsewhere"
_numbers = count()


def own_channels(query: str) -> Iterator[str]:
    """Return the names of the channels that the query string of a connection asks for."""
    number = next(_numbers)
    wanted = int(parse_qs(query).get("subscriptions", ["0"])[0])
    return (f"own-{os.getpid()}-{number}-{channel}" for channel in range(wanted))
