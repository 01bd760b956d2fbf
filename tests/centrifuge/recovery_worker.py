"""A worker for the test of recovery, given the address of Redis. It prints its port."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys
from typing import Any

from geventkws import ServiceRegistry, WebSocketServer
from geventkws.centrifuge import CentrifugeService, Client, Connected, Namespace
from geventkws.pubsub import PubSub
from geventkws.request import Request

HISTORY_SIZE = 20_000
NAMESPACES = {"": Namespace(history_size=HISTORY_SIZE, recover=True, may_subscribe="everyone")}


class Anybody(CentrifugeService):
    """Lets everybody in."""

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        return Connected("somebody")


def main() -> None:
    """Serve until the program is killed."""
    service = Anybody(PubSub(sys.argv[1]), namespaces=NAMESPACES, recovery_limit=HISTORY_SIZE)
    services = ServiceRegistry()
    services.register(service, "/connection/websocket")
    server = WebSocketServer(("127.0.0.1", 0), services=services)
    server.start()
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
