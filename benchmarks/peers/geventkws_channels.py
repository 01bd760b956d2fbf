"""geventkws with channels on Redis, for the channel workloads."""

from __future__ import annotations

import gevent
from gevent import monkey

monkey.patch_all()

from benchmarks.peers.channels_app import CHANNEL, ELSEWHERE, own_channels  # noqa: E402
from benchmarks.peers.command_line import ADDRESS, parse_options  # noqa: E402
from benchmarks.peers.geventkws import settings  # noqa: E402
from geventkws import (  # noqa: E402
    ServiceRegistry,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
)
from geventkws.pubsub import PubSub  # noqa: E402


class Channel(WebSocketService):
    """Publishes every message to all, in a greenlet of its own: they wait for Redis together, in order."""

    def __init__(self, pubsub: PubSub) -> None:
        self.pubsub = pubsub

    def connected(self, connection: WebSocketConnection) -> None:
        query = connection.request.target.partition("?")[2]
        channels = [*own_channels(query)] or [CHANNEL]
        gevent.joinall([gevent.spawn(self.pubsub.subscribe, connection, channel) for channel in channels])
        connection.send("ready")

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        gevent.spawn(self.pubsub.publish, CHANNEL, message)


class Publish(WebSocketService):
    """Publishes every message where nobody listens, and then sends it back."""

    def __init__(self, pubsub: PubSub) -> None:
        self.pubsub = pubsub

    def connected(self, connection: WebSocketConnection) -> None:
        connection.send("ready")

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self.pubsub.publish(ELSEWHERE, message)
        connection.send(message)


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    pubsub = PubSub(options.redis)
    services = ServiceRegistry()
    services.register(Channel(pubsub), on_path="channel")
    services.register(Publish(pubsub), on_path="publish")
    WebSocketServer((ADDRESS, options.port), services=services, **settings(options)).serve_forever()


if __name__ == "__main__":
    main()
