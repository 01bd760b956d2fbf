"""A Flask application and WebSockets on one port."""

from __future__ import annotations

import urllib.request
from types import SimpleNamespace
from typing import Any

import flask
import flask_login
import pytest

import geventkws
from geventkws import testing
from geventkws.flask import Sockets
from tests.docs.contexts.context import PUBLIC, Context, connect, echoes, get, refusal
from tests.docs.contexts.services import Echo
from tests.docs.contexts.testing import run_tests
from tests.docs.examples import ROOT, examples_of
from tests.waiting import PATIENCE


class FlaskPage(Context):
    """The whole program."""

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"
        echoes(address, "/echo")
        client = connect(address, "/rooms/7")
        assert client.recv() == "This is room 7"
        client.close(timeout=PATIENCE)


def greeting(app: flask.Flask, path: str, cookie: str = "") -> str | bytes:
    """Return the first message that a connection gets."""
    with testing.connect(app, path, headers={"Cookie": cookie}) as client:
        return client.receive()


class FlasksLogin(Context):
    """Routes for those who have logged in."""

    def names(self) -> dict[str, Any]:
        app = self.app = flask.Flask("private")
        app.secret_key = "secret"
        flask_login.LoginManager(app).user_loader(User)

        @app.get("/login")
        def login():
            flask_login.login_user(User("Ann"))
            flask.session["basket"] = []
            return "Welcome"

        return {**PUBLIC, "app": app, "sockets": Sockets(app)}

    def check(self, block: SimpleNamespace) -> None:
        cookie = self.app.test_client().get("/login").headers["Set-Cookie"].partition(";")[0]
        greetings = {"/inbox": "Hello Ann", "/news": "Nothing new", "/basket": "It is empty"}
        rules = [rule.rule for rule in self.app.url_map.iter_rules() if rule.websocket]
        assert rules
        for rule in rules:
            assert greeting(self.app, rule, cookie) == greetings[rule]
            with pytest.raises(testing.ConnectionRefused, match=r"status 40[13]"):
                greeting(self.app, rule)


class User(flask_login.UserMixin):  # type: ignore[misc]
    """Somebody."""

    def __init__(self, name: str) -> None:
        self.id = name


class FlasksFactory(Context):
    """An application that a function makes."""

    def check(self, block: SimpleNamespace) -> None:
        for app in (block.create_app(), block.create_app()):
            assert greeting(app, "/ws/time") == "It is late"
            assert greeting(app, "/chat/rooms/tea") == "This is tea"


def site_with_sessions() -> flask.Flask:
    app = flask.Flask("members")
    app.secret_key = "secret"
    return app


class ChatOfMembers(Context):
    """A chat behind a login."""

    def names(self) -> dict[str, Any]:
        app = site_with_sessions()

        @app.post("/login")
        def login():
            flask.session["user"] = flask.request.form["user"]
            return "Welcome"

        return {"app": app}

    def check(self, block: SimpleNamespace) -> None:
        ann, ben = (self.cookie(block.app, name) for name in ("Ann", "Ben"))
        with (
            testing.connect(block.app, "/members", headers=ann) as first,
            testing.connect(block.app, "/members", headers=ben) as second,
        ):
            first.send("hello")
            assert first.receive() == second.receive() == "Ann: hello"
        assert not block.members
        with pytest.raises(testing.ConnectionRefused, match="status 401"):
            testing.connect(block.app, "/members")

    def cookie(self, app: flask.Flask, name: str) -> dict[str, str]:
        answer = app.test_client().post("/login", data={"user": name})
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


class TestOfMembers(Context):
    """A test of this chat."""

    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = {"app": site_with_sessions()}
        chat = next(each for each in examples_of(ROOT / "README.md") if each.context == "ChatOfMembers")
        chat.run(names)
        return names

    def check(self, block: SimpleNamespace) -> None:
        run_tests(block)


class ServiceBesideFlask(Context):
    """A service on the server's own path."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "app": flask.Flask("beside"), "Echo": Echo}

    def visit(self, address: str) -> None:
        echoes(address, "/echo")


class Ticker(geventkws.WebSocketService):
    """Keeps its connections, as the tutorial's chat does."""

    def __init__(self) -> None:
        self.connections: dict[str, geventkws.WebSocketConnection] = {}

    def connected(self, connection: geventkws.WebSocketConnection) -> None:
        self.connections[connection.id] = connection


class Prices(Context):
    """A view that sends to the connections of a service."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "app": flask.Flask("prices"), "request": flask.request, "Ticker": Ticker}

    def check(self, block: SimpleNamespace) -> None:
        server = geventkws.WebSocketServer(("127.0.0.1", 0), block.app)
        server.start()
        address = f"127.0.0.1:{server.server_port}"
        client = connect(address, "/prices")
        urllib.request.urlopen(f"http://{address}/price", b"12.50", timeout=PATIENCE).close()
        assert client.recv() == "12.50"
        client.close(timeout=PATIENCE)
        server.stop(timeout=5)


class Rooms(Context):
    """An application that decides on an upgrade."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "Echo": Echo, "rooms": {"/tea"}}

    def visit(self, address: str) -> None:
        echoes(address, "/tea")
        assert refusal(address, "/coffee") == 404
