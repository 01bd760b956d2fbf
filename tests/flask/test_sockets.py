"""``geventkws.flask.Sockets``: connections on the routes of a Flask application, through the whole server."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, get_type_hints

import gevent
import pytest
from flask import Blueprint, Flask, abort, current_app, g, got_request_exception, request, session, url_for
from gevent.event import Event
from werkzeug.routing import Rule

from geventkws import ConnectionClosed, HandshakeError, WebSocketConnection, WebSocketService, broadcast
from geventkws.flask import Sockets
from geventkws.flask.sockets import RouteOptions, RuleOptions
from geventkws.service_check import ATTRIBUTES
from geventkws.testing import ConnectionRefused, ServerFactory, connect
from tests.garbage import no_channel_left, no_collector
from tests.raw import RawClient, upgrade_request
from tests.waiting import PATIENCE

__all__ = ["no_collector"]


@pytest.fixture
def app() -> Flask:
    app = Flask("site")
    app.secret_key = "secret"
    return app


@pytest.fixture
def sockets(app: Flask) -> Sockets:
    return Sockets(app)


class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(message)


def refused(app: Flask, path: str, **options: Any) -> ConnectionRefused:
    with pytest.raises(ConnectionRefused) as error:
        connect(app, path, **options)
    return error.value


def echoes(app: Flask, path: str) -> None:
    with connect(app, path) as client:
        client.send("hello")
        assert client.receive() == "hello"


def echo(connection: WebSocketConnection) -> None:
    for message in connection:
        connection.send(message)


class TestFunctions:
    def test_a_function_takes_the_messages_and_its_return_closes_with_1000(
        self, app: Flask, sockets: Sockets
    ) -> None:
        @sockets.route("/twice")
        def twice(connection):
            for _ in range(2):
                connection.send(connection.receive(timeout=PATIENCE))

        with connect(app, "/twice") as client:
            client.send("one")
            client.send(b"two")
            assert list(client) == ["one", b"two"]
            assert client.reason == 1000

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize("message", ["return", "fail"])
    def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector(
        self, app: Flask, sockets: Sockets, message: str
    ) -> None:
        @sockets.route("/once")
        def once(connection):
            if connection.receive(timeout=PATIENCE) == "fail":
                raise ValueError

        servers = ServerFactory()
        running = servers(application=app)
        with no_channel_left(), running.connect("/once") as client:
            client.send(message)
            assert list(client) == []
        servers.close()

    @pytest.mark.usefixtures("no_collector")
    def test_nor_does_one_whose_client_has_gone(self, app: Flask, sockets: Sockets) -> None:
        begun, gone = Event(), Event()

        @sockets.route("/late")
        def late(connection):
            begun.set()
            assert gone.wait(PATIENCE)
            with pytest.raises(ConnectionClosed):
                connection.send("x")

        servers = ServerFactory()
        running = servers(application=app)
        with no_channel_left():
            client = RawClient(running.port)
            client.send(upgrade_request("/late"))
            assert begun.wait(PATIENCE)
            client.reset_at_once()
            gone.set()
        servers.close()

    @pytest.mark.logs_errors
    def test_an_error_while_another_greenlet_completes_the_handshake_is_logged(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture
    ) -> None:
        @sockets.route("/hasty")
        def hasty(connection):
            gevent.spawn(lambda: connection.active)
            gevent.sleep(0)
            raise ValueError("hasty")

        with connect(app, "/hasty") as client:
            assert list(client) == []
            assert client.reason == 1011
        assert "ValueError: hasty" in caplog.text

    def test_iteration_ends_with_the_client(self, app: Flask, sockets: Sockets) -> None:
        ended: list[str] = []

        @sockets.route("/echo")
        def view(connection):
            echo(connection)
            ended.append("ended")

        echoes(app, "/echo")
        assert ended == ["ended"]

    def test_receive_raises_at_the_end_which_ends_the_function(self, app: Flask, sockets: Sockets) -> None:
        ended: list[str] = []

        @sockets.route("/echo")
        def view(connection):
            try:
                while True:
                    connection.send(connection.receive())
            finally:
                ended.append("ended")

        echoes(app, "/echo")
        assert ended == ["ended"]

    def test_receive_gives_up_in_time(self, app: Flask, sockets: Sockets) -> None:
        @sockets.route("/impatient")
        def impatient(connection):
            with pytest.raises(TimeoutError):
                connection.receive(timeout=0.01)
            connection.send("too late")

        with connect(app, "/impatient") as client:
            assert client.receive() == "too late"

    def test_values_of_the_rule_have_their_types(self, app: Flask, sockets: Sockets) -> None:
        @sockets.route("/rooms/<int:room>/<name>")
        def room(connection, room, name):
            connection.send(f"{room!r} {name!r} {connection.path_params}")

        with connect(app, "/rooms/7/Ann%20B") as client:
            assert client.receive() == "7 'Ann B' {'room': 7, 'name': 'Ann B'}"
        assert refused(app, "/rooms/seven/Ann").status == 404

    def test_it_runs_within_its_request(self, app: Flask, sockets: Sockets) -> None:
        @app.before_request
        def before():
            g.user = "Ann"

        @sockets.route("/who")
        def who(connection):
            session["seen"] = True
            for _ in connection:
                connection.send(f"{g.user} {request.args['a']} {session['seen']} {current_app.name}")

        with connect(app, "/who?a=b") as client:
            client.send("?")
            assert client.receive() == "Ann b True site"

    def test_the_request_is_torn_down_when_it_returns(self, app: Flask, sockets: Sockets) -> None:
        torn: list[BaseException | None] = []
        app.teardown_request(torn.append)
        sockets.route("/echo")(echo)
        with connect(app, "/echo") as client:
            client.send("hello")
            assert client.receive() == "hello"
            assert torn == []
        assert torn == [None]

    def test_a_function_that_never_uses_its_connection_accepts_it(self, app: Flask, sockets: Sockets) -> None:
        @sockets.route("/nothing")
        def nothing(connection):
            pass

        with connect(app, "/nothing") as client:
            assert list(client) == []
            assert client.reason == 1000

    def test_options_of_a_service_and_of_the_rule(self, app: Flask, sockets: Sockets) -> None:
        sockets.route(
            "/echo",
            endpoint="here",
            defaults={"room": 1},
            subprotocols=["chat"],
            max_message_size=10,
            allowed_origins=["http://elsewhere.example"],
        )(lambda connection, room: connection.send(connection.receive()))
        options: dict[str, Any] = {"subprotocols": ["chat"], "origin": "http://elsewhere.example"}
        with connect(app, "/echo", **options) as client:
            assert client.subprotocol == "chat"
            client.send("x" * 11)
            with pytest.raises(ConnectionClosed) as closed:
                client.receive()
            assert closed.value.reason == 1009
        with app.test_request_context():
            assert url_for("here") == "ws://localhost/echo"

    def test_the_connection_may_be_broadcast_to(self, app: Flask, sockets: Sockets) -> None:
        members: list[WebSocketConnection] = []

        @sockets.route("/room")
        def room(connection):
            members.append(connection)
            broadcast(members, "somebody came")
            echo(connection)

        with connect(app, "/room") as ann:
            assert ann.receive() == "somebody came"
            with connect(app, "/room") as ben:
                assert ann.receive() == ben.receive() == "somebody came"
                assert isinstance(members[0], WebSocketConnection)

    def test_several_greenlets_may_be_the_first_to_use_the_connection(
        self, app: Flask, sockets: Sockets
    ) -> None:
        @sockets.route("/both")
        def both(connection):
            others = [gevent.spawn(connection.send, "other") for _ in range(3)]
            connection.send(connection.receive())
            gevent.joinall(others, raise_error=True)

        with connect(app, "/both") as client:
            client.send("own")
            assert sorted(client) == ["other", "other", "other", "own"]

    def test_it_ends_when_the_server_stops(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture
    ) -> None:
        ended = Event()

        @sockets.route("/echo")
        def view(connection):
            echo(connection)
            ended.set()

        servers = ServerFactory()
        running = servers(application=app)
        client = running.connect("/echo")
        stopping = gevent.spawn(running.server.stop)
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.reason == 1001
        assert ended.wait(PATIENCE)
        stopping.join()
        assert servers.close() == []

    def test_foreign_origins_are_logged_once_by_the_name_of_the_function(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture
    ) -> None:
        @sockets.route("/function")
        def prices(connection):
            raise AssertionError("it was called")

        @sockets.service("/service", request_context=True)
        class Prices(Echo):
            pass

        for path in ("/function", "/service", "/function", "/service"):
            assert refused(app, path, origin="http://evil.example").status == 403
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert [each.split()[0] for each in warnings] == ["prices", "Prices"]


class TestBeforeTheHandshakeIsAnswered:
    def test_a_decorator_may_refuse(self, app: Flask, sockets: Sockets) -> None:
        import functools

        def nobody(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def decorated(*args: Any, **kwargs: Any) -> Any:
                return "Nobody may", 403

            return decorated

        @sockets.route("/private")
        @nobody
        def private(connection):
            raise AssertionError("it was called")

        error = refused(app, "/private")
        assert (error.status, error.body) == (403, b"Nobody may")

    def test_an_error_is_answered_by_the_apps_handlers(self, app: Flask, sockets: Sockets) -> None:
        @app.errorhandler(LookupError)
        def lookup(error):
            return f"no {error.args[0]}", 404

        @sockets.route("/<kind>")
        def fail(connection, kind):
            if kind == "abort":
                abort(410)
            if kind == "handshake":
                raise HandshakeError(401, "Who are you?", {"WWW-Authenticate": "Basic"})
            raise LookupError("such room")

        assert refused(app, "/lookup").body == b"no such room"
        assert refused(app, "/abort").status == 410
        error = refused(app, "/handshake")
        assert (error.status, error.headers["www-authenticate"]) == (401, "Basic")

    def test_an_exception_is_a_500_and_logged_by_the_app(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture
    ) -> None:
        @sockets.route("/fails")
        def fails(connection):
            raise ValueError("oops")

        assert refused(app, "/fails").status == 500
        assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["site"]

    def test_a_foreign_origin_is_refused_before_the_function_is_called(
        self, app: Flask, sockets: Sockets
    ) -> None:
        called: list[object] = []
        sockets.route("/echo")(lambda connection: called.append(connection))
        assert refused(app, "/echo", origin="http://evil.example").status == 403
        assert called == []

    def test_before_request_and_after_request_run(self, app: Flask, sockets: Sockets) -> None:
        statuses: list[int] = []

        @app.before_request
        def before():
            return ("Not you", 401) if "as" not in request.args else None

        @app.after_request
        def after(response):
            statuses.append(response.status_code)
            return response

        sockets.route("/echo")(echo)
        sockets.service("/service")(Echo())
        assert refused(app, "/echo").status == refused(app, "/service").status == 401
        echoes(app, "/echo?as=Ann")
        echoes(app, "/service?as=Ann")
        assert statuses == [401, 401, 101, 101]

    @pytest.mark.parametrize("path", ["/echo", "/service"])
    def test_the_session_of_a_login_is_available(self, app: Flask, sockets: Sockets, path: str) -> None:
        @app.get("/login")
        def login():
            session["user"] = "Ann"
            return "Welcome"

        @sockets.route("/echo")
        def view(connection):
            connection.send(session.get("user", "nobody"))

        @sockets.service("/service", request_context=True)
        class Greeting(Echo):
            def connecting(self, request):
                assert session.get("user", "nobody") in ("Ann", "nobody")

            def connected(self, connection):
                connection.send(session.get("user", "nobody"))

        cookie = app.test_client().get("/login").headers["Set-Cookie"].partition(";")[0]
        with connect(app, path, headers={"Cookie": cookie}) as ann, connect(app, path) as stranger:
            assert ann.receive() == "Ann"
            assert stranger.receive() == "nobody"

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
    def test_another_method_is_refused(self, app: Flask, sockets: Sockets, method: str) -> None:
        sockets.route("/echo")(echo)
        answer = app.test_client().open(
            "/echo",
            method=method,
            base_url="ws://localhost/",
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )
        assert answer.status_code in {"HEAD": (501,), "OPTIONS": (200,), "POST": (405,)}[method]

    def test_a_page_is_not_a_websocket_and_a_websocket_is_not_a_page(
        self, app: Flask, sockets: Sockets
    ) -> None:
        app.get("/page")(lambda: "Hello")
        sockets.route("/echo")(echo)
        assert refused(app, "/page").status == 400
        assert app.test_client().get("/echo").status_code == 400


class TestAfterIt:
    @pytest.mark.parametrize("request_context", [False, True])
    def test_an_exception_closes_with_1011_and_is_logged_by_the_app_alone(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture, request_context: bool
    ) -> None:
        signalled: list[BaseException] = []

        def note(sender: Flask, exception: BaseException) -> None:
            signalled.append(exception)

        got_request_exception.connect(note, app)

        @sockets.service("/service", request_context=request_context)
        class Failing(Echo):
            def received(self, message, connection):
                raise ValueError("oops")

        @sockets.route("/route")
        def view(connection):
            connection.receive()
            raise ValueError("oops")

        for path in ("/service", "/route"):
            caplog.clear()
            with connect(app, path) as client:
                client.send("hello")
                with pytest.raises(ConnectionClosed) as closed:
                    client.receive()
                assert closed.value.reason == 1011
            [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
            assert (record.name, record.getMessage()) == ("site", f"Exception on the WebSocket {path}")
            assert record.exc_info
            assert record.exc_info[0] is ValueError
        assert len(signalled) == 2


class TestServices:
    def test_a_class_is_instantiated_once_and_stays_what_it_is(self, app: Flask, sockets: Sockets) -> None:
        made: list[object] = []

        @sockets.service("/chat/<int:room>")
        class Chat(WebSocketService):
            def __init__(self):
                made.append(self)

            def connected(self, connection):
                connection.send(f"room {connection.path_params['room'] + 1}")

        assert isinstance(Chat, type)
        for _ in range(2):
            with connect(app, "/chat/7") as client:
                assert client.receive() == "room 8"
        assert len(made) == 1
        with app.test_request_context():
            assert url_for("Chat", room=3, _external=True) == "ws://localhost/chat/3"

    def test_an_instance_and_the_pull_style(self, app: Flask, sockets: Sockets) -> None:
        class Pulling(WebSocketService):
            subprotocols = ("chat",)

            def run(self, connection):
                echo(connection)

        service = Pulling()
        assert sockets.service("/pull", endpoint="pull")(service) is service
        with connect(app, "/pull", subprotocols=["chat"]) as client:
            assert client.subprotocol == "chat"
            client.send("hello")
            assert client.receive() == "hello"

    def test_every_callback_has_an_application_context_of_its_own(self, app: Flask, sockets: Sockets) -> None:
        seen: list[tuple[str, str, bool]] = []
        torn: list[object] = []
        app.teardown_appcontext(torn.append)

        class Seeing(Echo):
            def note(self, name: str) -> None:
                seen.append((name, current_app.name, hasattr(g, "seen")))
                g.seen = True

            def connected(self, connection):
                self.note("connected")

            def received(self, message, connection):
                self.note("received")

            def disconnected(self, connection, reason):
                self.note("disconnected")

        sockets.service("/see")(Seeing())
        with connect(app, "/see") as client:
            client.send("hello")
            client.settle()
        assert seen == [(name, "site", False) for name in ("connected", "received", "disconnected")]
        assert len(torn) == 4  # including that of the request

    def test_with_a_request_context_each_callback_has_a_copy_of_the_handshakes(
        self, app: Flask, sockets: Sockets
    ) -> None:
        torn: list[object] = []
        app.teardown_request(torn.append)

        @sockets.service("/see", request_context=True)
        class Seeing(WebSocketService):
            def received(self, message, connection):
                connection.send(f"{request.args['a']} {request.endpoint} {session.get('user')}")

        with connect(app, "/see?a=b") as client:
            for _ in range(2):
                client.send("?")
                assert client.receive() == "b Seeing None"
        assert len(torn) == 5  # for the request, connected, two messages, disconnected

    def test_connecting_runs_within_the_request(self, app: Flask, sockets: Sockets) -> None:
        @app.before_request
        def before():
            g.user = request.args.get("as")

        @sockets.service("/private")
        class Private(Echo):
            def connecting(self, request):
                if g.user is None:
                    raise HandshakeError(401, "Who are you?")

        assert refused(app, "/private").status == 401
        echoes(app, "/private?as=Ann")

    def test_what_connecting_raises_is_answered_by_the_apps_handlers(
        self, app: Flask, sockets: Sockets
    ) -> None:
        @app.errorhandler(403)
        def forbidden(error):
            return f"Not you: {error.description}", 403

        @app.errorhandler(LookupError)
        def missing(error):
            return f"There is no {error}", 404

        @sockets.service("/rooms/<name>")
        class Rooms(Echo):
            def connecting(self, request):
                if request.path == "/rooms/private":
                    abort(403, "members only")
                if request.path != "/rooms/tea":
                    raise LookupError(request.path)

        forbidden_one, missing_one = refused(app, "/rooms/private"), refused(app, "/rooms/coffee")
        assert (forbidden_one.status, forbidden_one.body) == (403, b"Not you: members only")
        assert (missing_one.status, missing_one.body) == (404, b"There is no /rooms/coffee")
        echoes(app, "/rooms/tea")

    def test_what_no_handler_is_for_is_a_500_and_logged_by_the_app_alone(
        self, app: Flask, sockets: Sockets, caplog: pytest.LogCaptureFixture
    ) -> None:
        @sockets.service("/broken")
        class Broken(Echo):
            def connecting(self, request):
                raise ValueError("on purpose")

        assert refused(app, "/broken").status == 500
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert [record.name for record in errors] == ["site"]

    def test_the_connections_service_passes_for_the_registered_one(
        self, app: Flask, sockets: Sockets
    ) -> None:
        service = Echo()
        service.connection_timeout = 33
        vars(service)["rooms"] = {"tea"}
        sockets.service("/echo")(service)
        with connect(app, "/echo") as client:
            wrapper: Any = client.connection.service
            assert wrapper.rooms is vars(service)["rooms"]
            assert wrapper.connection_timeout == 33

    def test_a_decorator_may_refuse(self, app: Flask, sockets: Sockets) -> None:
        sockets.service("/private", decorators=[lambda view: lambda **values: ("No", 403)])(Echo())
        assert refused(app, "/private").status == 403


class TestApplications:
    def test_a_factory(self) -> None:
        sockets = Sockets(url_prefix="/ws")
        sockets.route("/echo")(echo)
        apps = [Flask("one"), Flask("two")]
        for app in apps:
            sockets.init_app(app)
        sockets.route("late", endpoint="late")(echo)
        for app in apps:
            echoes(app, "/ws/echo")
            echoes(app, "/ws/late")

    def test_a_blueprint_and_its_prefix(self, app: Flask) -> None:
        blueprint = Blueprint("chat", __name__)
        sockets = Sockets(blueprint)
        sockets.route("/echo")(echo)

        @blueprint.before_request
        def before():
            return ("Not you", 401) if "as" not in request.args else None

        app.register_blueprint(blueprint, url_prefix="/chat")
        echoes(app, "/chat/echo?as=Ann")
        assert refused(app, "/chat/echo").status == 401
        with app.test_request_context():
            assert url_for("chat.echo") == "ws://localhost/chat/echo"

    def test_an_app_that_is_no_longer_needed_is_forgotten(self) -> None:
        import gc
        import weakref

        sockets = Sockets()
        sockets.route("/echo")(echo)
        app = Flask("short")
        sockets.init_app(app)
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None


class TestMistakes:
    @pytest.mark.parametrize("name", ["route", "service"])
    def test_a_decorator_without_its_rule(self, sockets: Sockets, name: str) -> None:
        with pytest.raises(TypeError, match=rf'write @sockets\.{name}\("/path"\)'):
            getattr(sockets, name)(echo)

    def test_functions_that_cannot_serve(self, sockets: Sockets) -> None:
        async def coroutine(connection):
            pass

        def generator(connection):
            yield

        for function, message in (
            (coroutine, "not async def"),
            (generator, "must not yield"),
            (Echo, r"use @sockets\.service"),
        ):
            with pytest.raises(TypeError, match=message):
                sockets.route("/x")(function)

    def test_services_and_options_that_cannot_serve(self, sockets: Sockets) -> None:
        with pytest.raises(TypeError, match="must be a WebSocketService"):
            sockets.service("/x")(echo)  # type: ignore[type-var]
        with pytest.raises(TypeError, match="subprotocols must be a list"):
            sockets.route("/x", subprotocols="chat")(echo)
        with pytest.raises(TypeError, match="unexpected keyword argument 'subprotocol'"):
            sockets.route("/x", subprotocol=["chat"])(echo)  # type: ignore[call-arg]

    def test_the_options_for_type_checkers_are_those_of_a_rule(self) -> None:
        assert set(get_type_hints(RuleOptions)) < set(inspect.signature(Rule).parameters)
        assert set(get_type_hints(RouteOptions)) == {*get_type_hints(RuleOptions), *ATTRIBUTES}

    def test_another_server_says_how_to_serve(self, app: Flask, sockets: Sockets) -> None:
        sockets.route("/echo")(echo)
        answer = app.test_client().get(
            "/echo",
            base_url="ws://localhost/",
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )
        assert answer.status_code == 501
        assert (
            "serve the application with geventkws.WebSocketServer, or run it with: flask serve" in answer.text
        )
