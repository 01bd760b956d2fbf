"""``Sockets`` together with Flask extensions, and Flask within Werkzeug's dispatcher."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS, cross_origin
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_talisman import Talisman
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from geventkws import WebSocketConnection, WebSocketService
from geventkws.flask import Sockets
from geventkws.testing import ConnectionRefused, connect


@pytest.fixture
def app() -> Flask:
    app = Flask("site")
    app.secret_key = "secret"
    return app


def echo(connection: WebSocketConnection) -> None:
    for message in connection:
        connection.send(message)


def echoes(application: Any, path: str, **options: Any) -> None:
    with connect(application, path, **options) as client:
        client.send("hello")
        assert client.receive() == "hello"


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


class TestFlaskLogin:
    @pytest.fixture
    def cookie(self, app: Flask) -> str:
        """The cookie of a user who has logged in."""
        manager = LoginManager(app)
        manager.user_loader(User)

        @app.get("/login")
        def login():
            login_user(User("Ann"))
            return "Welcome"

        sockets = Sockets(app)

        @sockets.route("/function")
        @login_required
        def function(connection):
            for message in connection:
                connection.send(f"{current_user.id}: {message}")

        @sockets.service("/service", decorators=[login_required], request_context=True)
        class Service(WebSocketService):
            def received(self, message, connection):
                connection.send(f"{current_user.id}: {message}")

        return app.test_client().get("/login").headers["Set-Cookie"].partition(";")[0]

    @pytest.mark.parametrize("path", ["/function", "/service"])
    def test_who_has_logged_in_is_let_in_and_known_in_every_callback(
        self, app: Flask, cookie: str, path: str
    ) -> None:
        with connect(app, path, headers={"Cookie": cookie}) as client:
            for message in ("one", "two"):
                client.send(message)
                assert client.receive() == f"Ann: {message}"

    @pytest.mark.parametrize("path", ["/function", "/service"])
    def test_a_stranger_gets_401_before_the_handshake_is_answered(
        self, app: Flask, cookie: str, path: str
    ) -> None:
        with pytest.raises(ConnectionRefused) as refused:
            connect(app, path)
        assert refused.value.status == 401

    @pytest.mark.parametrize("path", ["/function", "/service"])
    def test_a_stranger_is_redirected_to_the_login_where_there_is_one(
        self, app: Flask, cookie: str, path: str
    ) -> None:
        manager: Any = app.extensions.get("login_manager") or vars(app)["login_manager"]
        manager.login_view = "login"
        with pytest.raises(ConnectionRefused) as refused:
            connect(app, path)
        assert refused.value.status == 302
        assert "/login" in refused.value.headers["location"]


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:flask_cors")
class TestFlaskCors:
    def test_for_the_whole_application(self, app: Flask) -> None:
        CORS(app, origins=["http://friend.example"])
        Sockets(app).route("/echo", allowed_origins=["http://friend.example"])(echo)
        echoes(app, "/echo", origin="http://friend.example")

    def test_its_decorator(self, app: Flask) -> None:
        Sockets(app).route("/echo")(cross_origin()(echo))
        echoes(app, "/echo", origin="http://localhost")

    def test_it_does_not_let_a_foreign_origin_open_a_websocket(self, app: Flask) -> None:
        CORS(app)
        Sockets(app).route("/echo")(echo)
        with pytest.raises(ConnectionRefused) as refused:
            connect(app, "/echo", origin="http://evil.example")
        assert refused.value.status == 403


class TestFlaskTalisman:
    def test_its_headers_do_no_harm(self, app: Flask) -> None:
        Talisman(app, force_https=False)
        Sockets(app).route("/echo")(echo)
        Sockets(app).service("/service")(type("Pull", (WebSocketService,), {"run": staticmethod(echo)}))
        echoes(app, "/echo")
        echoes(app, "/service")

    def test_if_it_forces_https_a_websocket_without_tls_is_redirected_to_wss(self, app: Flask) -> None:
        Talisman(app)
        Sockets(app).route("/echo")(echo)
        with pytest.raises(ConnectionRefused) as refused:
            connect(app, "/echo")
        assert refused.value.status == 302


class TestWerkzeug:
    def test_below_a_dispatcher_the_rule_is_that_of_the_application(self, app: Flask) -> None:
        Sockets(app).route("/echo")(echo)
        application = DispatcherMiddleware(Flask("root"), {"/chat": app})
        echoes(application, "/chat/echo")
        with pytest.raises(ConnectionRefused) as refused:
            connect(application, "/echo")
        assert refused.value.status == 404

    def test_behind_proxy_fix(self, app: Flask) -> None:
        Sockets(app).route("/echo")(echo)
        echoes(ProxyFix(app.wsgi_app), "/echo", headers={"X-Forwarded-For": "192.0.2.1"})
