"""Let in only the people you know."""

from __future__ import annotations

import urllib.request
from types import SimpleNamespace
from typing import Any

import flask

from geventkws import HandshakeError, WebSocketService
from tests.docs.contexts.context import Context, close_code, connect, echoes, refusal, serving
from tests.docs.contexts.services import Echo
from tests.waiting import PATIENCE

USERS = {"s3cr3t": "Ann"}


class Inbox(Context):
    """A session in a cookie decides."""

    def names(self) -> dict[str, Any]:
        return {"user_of_session": USERS.get}

    def check(self, block: SimpleNamespace) -> None:
        class Greeting(block.Inbox):  # type: ignore[misc, name-defined]
            def connected(self, connection):
                super().connected(connection)
                connection.send(connection.context.user)

        with serving(Greeting()) as address:
            assert refusal(address, "/") == 401
            assert refusal(address, "/", cookie="session=guessed") == 401
            client = connect(address, "/", cookie="session=s3cr3t")
            assert client.recv() == "Ann"
            client.close(timeout=PATIENCE)


class FirstMessage(Context):
    """The first message is a token, which must arrive in time."""

    def names(self) -> dict[str, Any]:
        return {"user_of_token": USERS.get}

    def check(self, block: SimpleNamespace) -> None:
        with serving(block.Inbox()) as address:
            friend, stranger, idler = (connect(address, "/") for _ in range(3))
            friend.send("s3cr3t")
            assert friend.recv() == "Hello Ann"
            friend.close(timeout=PATIENCE)
            stranger.send("guessed")
            assert close_code(stranger) == 1008
            assert close_code(idler) == 1008


class FlasksSession(Context):
    """Flask's own session decides."""

    def names(self) -> dict[str, Any]:
        app = flask.Flask("session")
        app.secret_key = "for this test"

        @app.post("/login")
        def login() -> str:
            flask.session["user"] = "Ann"
            return ""

        return {"app": app, "flask": flask, "HandshakeError": HandshakeError}

    def check(self, block: SimpleNamespace) -> None:
        members = {"connecting": block.connecting, "received": Echo.received}
        service = type("Members", (WebSocketService,), members)()
        with serving(service, block.app) as address:
            assert refusal(address, "/") == 401
            with urllib.request.urlopen(f"http://{address}/login", b"", timeout=PATIENCE) as response:
                cookie, _, _ = response.headers["Set-Cookie"].partition(";")
            echoes(address, "/", cookie=cookie)
