"""geventkws with a service for clients of the Centrifuge protocol, in JSON and in Protobuf.

What a client sends is published on ``CHANNEL``, to which all have subscribed. With ``KEPT`` in the
environment, the channel has a history that clients recover from, and it is kept who is there.
"""

from __future__ import annotations

import json
import os
from typing import Any

from gevent import monkey

monkey.patch_all()

from benchmarks.peers.channels_app import CHANNEL  # noqa: E402
from benchmarks.peers.command_line import ADDRESS, parse_options  # noqa: E402
from benchmarks.peers.geventkws import settings  # noqa: E402
from geventkws import Request, ServiceRegistry, WebSocketServer  # noqa: E402
from geventkws.centrifuge import CentrifugeService, Client, Connected, Namespace, Who  # noqa: E402
from geventkws.pubsub import PubSub  # noqa: E402

OPEN = Namespace(may_subscribe=Who.EVERYONE)
KEPT = Namespace(may_subscribe=Who.EVERYONE, presence=True, history_size=100, recover=True)


class Publisher(CentrifugeService):
    """Lets everybody in, and publishes what they say as the application, which does not say who said it."""

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        return Connected(f"user-{client.id[:8]}")

    def message(self, client: Client, data: Any) -> None:
        self.pubsub.publish(CHANNEL, json.dumps(data))


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    services = ServiceRegistry()
    namespace = KEPT if os.environ.get("KEPT") else OPEN
    services.register(Publisher(PubSub(), namespaces={"": namespace}), on_path="centrifuge")
    WebSocketServer((ADDRESS, options.port), services=services, **settings(options)).serve_forever()


if __name__ == "__main__":
    main()
