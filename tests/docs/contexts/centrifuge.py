"""Tokens, permissions and the HTTP API for Centrifuge clients."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import flask
import jwt
import pytest

from geventkws import WebSocketServer
from geventkws.centrifuge import ClientError, Tokens, api
from geventkws.centrifuge.tokens import TokenInvalid
from geventkws.pubsub import PubSub
from tests.centrifuge.token_keys import SECRET, pair
from tests.docs.contexts.context import Context
from tests.waiting import PATIENCE

KEY = "0123456789abcdef-key"


def publish(application: Callable[..., Any], channel: str) -> Any:
    """Call the API below ``/api``, and return what it answers."""
    body = json.dumps({"channel": channel, "data": 1}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/publish",
        "HTTP_X_API_KEY": KEY,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    return json.loads(b"".join(application(environ, lambda status, headers: None)))


class APIInFlask(Context):
    """The API below ``/api`` of a Flask application."""

    def names(self) -> dict[str, Any]:
        os.environ["API_KEY"] = KEY
        return {}

    def check(self, block: SimpleNamespace) -> None:
        assert publish(block.app, "news:sport")["result"]["offset"] == 1
        assert publish(block.app, "other:sport")["error"]["code"] == 102
        assert block.app.test_client().get("/api2").status_code == 404


class APIInDjango(Context):
    """The API below ``/api`` of a Django project."""

    def names(self) -> dict[str, Any]:
        from django.conf import settings

        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="test")
        os.environ["API_KEY"] = KEY
        return {}

    def check(self, block: SimpleNamespace) -> None:
        assert publish(block.application, "news") == {"result": {}}
        assert status_elsewhere(block.application) == "404 Not Found"


urlpatterns: list[object] = []


def status_elsewhere(application: Callable[..., Any]) -> str:
    """Return the status of Django's answer."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/apiary",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    application(environ, lambda status, headers, error=None: statuses.append(status))
    return statuses[0]


class CallingTheAPI(Context):
    """A server that has the API."""

    def names(self) -> dict[str, Any]:
        from werkzeug.middleware.dispatcher import DispatcherMiddleware

        self.pubsub = PubSub()
        self.pubsub.configure("*", history_size=1)
        mounted = DispatcherMiddleware(flask.Flask("site"), {"/api": api(self.pubsub, key=KEY)})
        self.server = WebSocketServer(("127.0.0.1", 0), mounted)
        self.server.start()
        return {"api_key": KEY, "url": f"http://127.0.0.1:{self.server.server_port}/api"}

    def check(self, block: SimpleNamespace) -> None:
        self.server.stop(PATIENCE)
        (publication,) = self.pubsub.history("news:sport")
        assert json.loads(publication.message) == {"title": "It has begun"}


class MakingTokens(Context):
    """The tokens are valid for the service."""

    def names(self) -> dict[str, Any]:
        return {"SECRET": SECRET}

    def check(self, block: SimpleNamespace) -> None:
        tokens = Tokens(SECRET)
        assert tokens.connection(block.token_for("42")).user == "42"
        assert tokens.subscription(block.token_for_channel("42", "$chat:1"), "42", "$chat:1").user == "42"


class VerifyingTokens(Context):
    """Tokens from before the user has signed out are refused."""

    def names(self) -> dict[str, Any]:
        users = {"42": SimpleNamespace(signed_out_at=time.time() - 60)}
        keys = {"new_key": pair("ES256")[1], "old_key": pair("RS256")[1]}
        return {"users": users, "pubsub": PubSub(), **keys}

    def check(self, block: SimpleNamespace) -> None:
        claims = {"sub": "42", "aud": "live", "iss": "shop"}
        for algorithm in ("ES256", "RS256"):
            fresh, old = (
                jwt.encode({**claims, "iat": int(time.time()) - age}, pair(algorithm)[0], algorithm)
                for age in (1, 100)
            )
            assert block.tokens.connection(fresh).user == "42"
            with pytest.raises(TokenInvalid):
                block.tokens.connection(old)


class Permissions(Context):
    """The namespaces allow what the page says."""

    def names(self) -> dict[str, Any]:
        return {"pubsub": PubSub(), "SECRET": SECRET}

    def check(self, block: SimpleNamespace) -> None:
        namespaces = block.service._namespaces
        namespaces.check_subscribe("news:sport", "")
        namespaces.check_subscribe("chat:lobby", "42")
        namespaces.check_subscribe("inbox:#42,43", "42")
        for channel in ("inbox:#43", "$chat:board", "sport", "Chat:lobby", "chat:#42"):
            with pytest.raises(ClientError):
                namespaces.check_subscribe(channel, "42")
