"""A client for the test of recovery: ``python recovery_client.py URL CHANNEL [protobuf]``.

Prints a line for each publication (``p NUMBER OFFSET``), and one for each time that it has subscribed
(``s WAS_RECOVERING RECOVERED``).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from centrifuge import Client


async def main(url: str, channel: str, is_protobuf: bool) -> None:
    """Print what happens, for ever."""
    client = Client(url, use_protobuf=is_protobuf, min_reconnect_delay=0.05, max_reconnect_delay=0.2)
    subscription = client.new_subscription(channel, min_resubscribe_delay=0.05, max_resubscribe_delay=0.2)

    async def on_publication(context: Any) -> None:
        data = context.pub.data
        print("p", json.loads(data) if is_protobuf else data, context.pub.offset, flush=True)

    async def on_subscribed(context: Any) -> None:
        print("s", int(context.was_recovering), int(context.recovered), flush=True)

    subscription.events.on_publication = on_publication
    subscription.events.on_subscribed = on_subscribed
    await client.connect()
    await subscription.subscribe()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], "protobuf" in sys.argv))
