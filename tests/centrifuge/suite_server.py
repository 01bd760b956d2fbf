"""A server for the suites of others: on port 8000, with the tokens, channels and rights that they expect.

``python -m tests.centrifuge.suite_server python`` is for centrifuge-python's, ``js`` for centrifuge-js's.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import jwt

from geventkws import ServiceRegistry, WebSocketServer
from geventkws.centrifuge import (
    CentrifugeService,
    Client,
    ClientError,
    Connected,
    Disconnect,
    DisconnectCode,
    ErrorCode,
    Namespace,
    Subscribed,
)
from geventkws.pubsub import PubSub
from geventkws.request import Request

WITH_HISTORY: dict[str, Any] = {"history_size": 100, "recover": True}
FOR_SUBSCRIBERS: dict[str, Any] = {"may_publish": "subscribers", "may_read_history": "subscribers"}
FOR_EVERYONE: dict[str, Any] = {"may_publish": "everyone", "may_read_history": "everyone"}


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token of the suites says: their secret is too short for a service."""
    try:
        claims: dict[str, Any] = jwt.decode(token, "secret", ["HS256"], options={"verify_signature": False})
        jwt.decode(token, "secret", ["HS256"])
    except jwt.ExpiredSignatureError:
        raise ClientError(ErrorCode.TOKEN_EXPIRED) from None
    except jwt.InvalidTokenError:
        raise Disconnect(DisconnectCode.INVALID_TOKEN) from None
    return claims


class PythonSuite(CentrifugeService):
    """Tokens for connections and subscriptions, and a personal channel."""

    namespaces: ClassVar = {
        "": Namespace(
            **WITH_HISTORY,
            **FOR_SUBSCRIBERS,
            presence=True,
            join_leave=True,
            may_see_presence="subscribers",
        ),
        "smallhistory": Namespace(**WITH_HISTORY | {"history_size": 2}, **FOR_SUBSCRIBERS),
    }

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        user = claims_of(client.token)["sub"]
        return Connected(user, channels=[f"#{user}"])

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed | None:
        try:
            claims = claims_of(client.token)
        except Disconnect:
            raise ClientError(ErrorCode.PERMISSION_DENIED) from None
        if claims["channel"] != channel:
            raise ClientError(ErrorCode.PERMISSION_DENIED)
        return Subscribed(expires_at=claims.get("exp"))


class JSSuite(CentrifugeService):
    """Everybody may do everything, and who comes with a token, must come with a valid one."""

    namespaces: ClassVar = {
        "": Namespace(
            **WITH_HISTORY,
            **FOR_EVERYONE,
            presence=True,
            may_subscribe="everyone",
            may_see_presence="everyone",
        ),
        "recovery": Namespace(**WITH_HISTORY, **FOR_SUBSCRIBERS, may_subscribe="everyone"),
        "delta": Namespace(**WITH_HISTORY, **FOR_SUBSCRIBERS, may_subscribe="everyone"),
        "smallhistory": Namespace(
            **WITH_HISTORY | {"history_size": 2}, **FOR_SUBSCRIBERS, may_subscribe="everyone"
        ),
    }

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        claims = claims_of(client.token) if client.token else {}
        return Connected(claims.get("sub", ""), expires_at=claims.get("exp"))

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed | None:
        if client.token:
            claims_of(client.token)
        return super().subscribe(client, channel, data)


def publishing(pubsub: PubSub) -> Callable[..., list[bytes]]:
    """Return the application by which the suites publish, and ask where a channel stands."""

    def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        method = environ["PATH_INFO"].removeprefix("/api/")
        if method not in ("publish", "history"):
            start_response("404 Not Found", [])
            return [b"not here"]
        said, result = json.load(environ["wsgi.input"]), {}
        if method == "publish":
            pubsub.publish(said["channel"], json.dumps(said["data"]))
        else:
            result = pubsub._stream(said["channel"], None, 0).top._asdict()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"result": result}).encode()]

    return application


def main() -> None:
    """Serve until the program is killed."""
    kinds: dict[str, type[PythonSuite | JSSuite]] = {"python": PythonSuite, "js": JSSuite}
    kind = kinds[sys.argv[1]]
    services = ServiceRegistry()
    pubsub = PubSub()
    services.register(kind(pubsub, namespaces=kind.namespaces), "/connection/websocket")
    WebSocketServer(("127.0.0.1", 8000), publishing(pubsub), services).serve_forever()


if __name__ == "__main__":
    main()
