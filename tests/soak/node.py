"""A server of the soak that shares a channel with others by way of Redis: a program for ``gevent.monkey``."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from geventkws import ServiceRegistry, WebSocketConnection, WebSocketServer, WebSocketService
from geventkws.pubsub import BrokerUnavailable, Position, Publication, PubSub
from tests.soak.link import HOST
from tests.soak.server import serve

CHANNEL = "news"
HISTORY = 10_000
"""Publications that are kept: more than anybody misses while Redis is away."""


def with_position(publication: Publication) -> str:
    return json.dumps({"position": publication.position, "message": publication.message})


class News(WebSocketService):
    """Subscribes all who connect, from the position in their query, if any, and tells how it began."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def connected(self, connection: WebSocketConnection) -> None:
        query = connection.request.query
        since = Position(int(query["offset"]), query["epoch"]) if "epoch" in query else None
        try:
            begun = self._pubsub.subscribe(connection, CHANNEL, since=since, transform=with_position)
        except BrokerUnavailable:
            connection.close(1013)
            return
        connection.send(json.dumps({"recovered": begun.recovered, "position": begun.position}))


def publisher(pubsub: PubSub) -> Callable[..., Iterable[bytes]]:
    """Return an application that publishes what it is sent, once, and answers with its position, or 503."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        message = environ["wsgi.input"].read().decode()
        try:
            status, answer = "200 OK", pubsub.publish(CHANNEL, message, key=message)
        except BrokerUnavailable:
            status, answer = "503 Service Unavailable", None
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application


def main() -> None:
    """Serve until SIGTERM; the first line of output says, in JSON, where."""
    parser = argparse.ArgumentParser(description="Serve a channel, until SIGTERM or the end of input.")
    parser.add_argument("url", help="where Redis is")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    pubsub = PubSub(options.url)
    pubsub.configure(CHANNEL, history_size=HISTORY)
    registry = ServiceRegistry()
    registry.register(News(pubsub), "/news")
    server = WebSocketServer((HOST, 0), publisher(pubsub), registry)
    server.start()
    serve({"port": server.server_port}, server)
    pubsub.close()


if __name__ == "__main__":
    main()
