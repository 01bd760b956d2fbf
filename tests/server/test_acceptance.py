"""``accept``: an application opens a WebSocket, whatever surrounds it, or refuses with its own response."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent.event import Event

from geventkws import ConnectionClosed, HandshakeError, accept
from geventkws.flask import Sockets
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import CLOSE, TEXT, Frame, RawClient, masked, upgrade_request
from tests.waiting import PATIENCE

Application = Callable[..., Any]
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
FOREIGN = "Origin: http://evil.example"


class Accepting:
    """An application that accepts every upgrade, and keeps what it returned."""

    def __init__(self, service: Recorder, path_params: dict[str, Any] | None = None) -> None:
        self.service = service
        self.path_params = path_params
        self.answers: list[Any] = []

    def __call__(self, environ, start_response):
        self.answers.append(accept(environ, self.service, self.path_params))
        return self.answers[-1]


def echoes(client: RawClient) -> None:
    assert client.head.startswith("HTTP/1.1 101 Switching Protocols")
    client.send(masked(TEXT, "hello"))
    assert client.frame() == Frame(TEXT, b"hello")


def status(client: RawClient) -> int:
    """Return the status of a response after which the server closes."""
    client.read_to_end()
    return int(client.head.split()[1])


class TestAccepted:
    def test_what_it_returns_is_an_empty_iterable_and_a_wsgi_application(self, serve: Serve) -> None:
        application = Accepting(Echo())
        echoes(serve(application=application).connect("/anything"))
        [answer] = application.answers
        started: list[Any] = []
        assert list(answer) == list(answer({}, lambda *args: started.append(args))) == []
        assert started == [("101 Switching Protocols", [])]

    def test_path_params_reach_the_connection_with_their_types(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(application=Accepting(service, {"room": 7}))
        site.connect("/rooms/7")
        service.expect("connected")
        assert service.connections[0].path_params == {"room": 7}

    def test_the_service_speaks_before_an_application_that_blocked_returns(self, serve: Serve) -> None:
        go_on = Event()

        def application(environ, start_response):
            gevent.sleep(0)
            answer = accept(environ, Recorder(connected=lambda connection: connection.send("welcome")))
            assert go_on.wait(PATIENCE)
            return answer

        client = serve(application=application).connect("/")
        assert client.frame() == Frame(TEXT, b"welcome")
        go_on.set()

    def test_what_followed_the_head_is_the_first_message(self, serve: Serve) -> None:
        service = Recorder()
        serve(application=Accepting(service)).connect("/", behind=masked(TEXT, "early"))
        service.expect("connected")
        service.expect("received", "early")

    def test_a_registered_service_comes_first(self, serve: Serve) -> None:
        application = Accepting(Echo())
        echoes(serve(Echo(), application=application).connect("/service"))
        assert application.answers == []


class Refusing(Recorder):
    def connecting(self, request):
        raise HandshakeError(401, "Who are you?", {"WWW-Authenticate": "Basic"})


class TestRefused:
    def test_an_ordinary_answer_is_sent_and_the_connection_closes(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("303 See Other", [("Location", "/login"), ("Content-Length", "0")])
            return []

        client = serve(application=application).connect("/", behind=GET)
        assert client.head.startswith("HTTP/1.1 303 ")
        assert "Location: /login" in client.head
        assert client.read_to_end() == b""

    def test_a_foreign_origin_gets_403_and_the_service_hears_nothing(self, serve: Serve) -> None:
        service = Refusing()
        application = Accepting(service)
        assert status(serve(application=application).connect("/", FOREIGN)) == 403
        assert application.answers[0].refusal.status == 403
        service.expect_nothing_more()

    def test_an_origin_that_the_service_allows_is_let_in(self, serve: Serve) -> None:
        service = Echo()
        service.allowed_origins = ["http://evil.example"]
        echoes(serve(application=Accepting(service)).connect("/", FOREIGN))

    def test_connecting_refuses_with_its_own_answer(self, serve: Serve) -> None:
        client = serve(application=Accepting(Refusing())).connect("/")
        assert client.head.startswith("HTTP/1.1 401 ")
        assert "WWW-Authenticate: Basic" in client.head
        assert client.read_to_end() == b"Who are you?\n"

    def test_as_a_wsgi_application_it_has_the_status_of_the_refusal(self, serve: Serve) -> None:
        application = Accepting(Refusing())
        serve(application=application).connect("/")
        started: list[Any] = []
        assert list(application.answers[0]({}, lambda *args: started.append(args))) == []
        assert started == [("401 Unauthorized", [])]

    @pytest.mark.parametrize("body", [[b"Welcome"], iter([b"Welcome"]), []])
    def test_the_refusal_is_sent_whatever_the_application_returns(self, serve: Serve, body: Any) -> None:
        def application(environ, start_response):
            accept(environ, Recorder())
            start_response("200 OK", [])
            return body

        assert status(serve(application=application).connect("/", FOREIGN)) == 403


def adding_headers(application: Application) -> Application:
    def middleware(environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Added", "yes")], exc_info)

        return application(environ, start)

    return middleware


def wrapping_the_body(application: Application) -> Application:
    class Body:
        def __init__(self, body: Any) -> None:
            self.chunks: Iterator[bytes] = iter(body)

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            return next(self.chunks)

        def close(self) -> None:
            pass

    return lambda environ, start_response: Body(application(environ, start_response))


def generating(application: Application) -> Application:
    """Call the application only when the response body is read."""

    def middleware(environ, start_response):
        yield from application(environ, start_response)

    return middleware


def joining(application: Application) -> Application:
    return lambda environ, start_response: [b"".join(application(environ, start_response))]


def catching(application: Application) -> Application:
    def middleware(environ, start_response):
        try:
            return list(application(environ, start_response))
        except Exception:
            start_response("500 Internal Server Error", [])
            return [b"caught"]

    return middleware


def calling(application: Application) -> Application:
    """Call the application's result as an application, as frameworks do with the result of a view."""
    return lambda environ, start_response: application(environ, start_response)(environ, start_response)


def adding_text(application: Application) -> Application:
    def middleware(environ, start_response):
        yield from application(environ, start_response)
        start_response("200 OK", [("Content-Length", "6")])
        yield b"footer"

    return middleware


@pytest.mark.parametrize(
    "middleware",
    [
        adding_headers,
        wrapping_the_body,
        generating,
        joining,
        catching,
        calling,
        adding_text,
        lambda application: adding_headers(calling(application)),
    ],
)
class TestMiddleware:
    def test_does_not_break_an_acceptance(
        self, serve: Serve, middleware: Callable[[Application], Application]
    ) -> None:
        site = serve(application=middleware(Accepting(Echo())))
        client = site.connect("/")
        echoes(client)
        client.send(masked(CLOSE))
        assert client.close_code() == (None, "")
        site.wait_until_empty()

    def test_does_not_break_a_refusal(
        self, serve: Serve, middleware: Callable[[Application], Application]
    ) -> None:
        assert status(serve(application=middleware(Accepting(Echo()))).connect("/", FOREIGN)) == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "http://evil.example"], ids=["accepted", "refused"])
def test_middleware_does_its_work_after_the_body(serve: Serve, origin: str) -> None:
    """Such as that of OpenTelemetry, which ends its span there."""
    begun, ended = Event(), Event()

    def middleware(environ, start_response):
        body = Accepting(Echo())(environ, start_response)

        def wrapped():
            begun.set()
            try:
                yield from body
                yield b"more"
            finally:
                ended.set()

        return wrapped()

    serve(application=middleware).connect("/", f"Origin: {origin}")
    assert begun.wait(PATIENCE)
    assert ended.wait(PATIENCE)


@pytest.mark.parametrize("body", [None, 7], ids=repr)
def test_what_is_not_a_body_may_be_returned_as_well(serve: Serve, body: Any) -> None:
    def application(environ, start_response):
        accept(environ, Echo())
        return body

    echoes(serve(application=application).connect("/"))


def test_a_client_that_is_gone_before_it_is_accepted_is_not_an_error(serve: Serve) -> None:
    began, go_on, ended = Event(), Event(), Event()
    service = Recorder()

    def application(environ, start_response):
        began.set()
        assert go_on.wait(PATIENCE)
        try:
            return accept(environ, service)
        finally:
            ended.set()

    site = serve(application=application)
    goes(site.connect(None), began, go_on)
    assert ended.wait(PATIENCE)
    site.wait_until_empty()
    service.expect_nothing_more()


def test_nor_is_it_one_of_a_function_of_flasks(serve: Serve) -> None:
    app, began, go_on = Flask("site"), Event(), Event()
    raised: list[Exception] = []

    @Sockets(app).route("/")
    def function(connection):
        began.set()
        assert go_on.wait(PATIENCE)
        try:
            connection.send("too late")
        except Exception as error:
            raised.append(error)
            raise

    site = serve(application=app)
    goes(site.connect(None), began, go_on)
    site.wait_until_empty()
    assert [type(error) for error in raised] == [ConnectionClosed]


def goes(client: RawClient, began: Event, go_on: Event) -> None:
    """Ask for a WebSocket, and be gone before the application goes on."""
    client.send(upgrade_request("/"))
    assert began.wait(PATIENCE)
    client.reset_at_once()
    go_on.set()


class Failing:
    """An application that keeps the exception that ``accept`` raised, and lets it pass."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.errors: list[Exception] = []

    def __call__(self, environ, start_response):
        try:
            return self.application(environ, start_response)
        except Exception as error:
            self.errors.append(error)
            raise


@pytest.mark.logs_errors
class TestMistakes:
    def test_a_request_that_is_not_an_upgrade_gets_426(self, serve: Serve) -> None:
        site = serve(application=Accepting(Echo()))
        with RawClient(site.port) as client:
            client.send(GET)
            head = client.read_head()
            assert head.startswith("HTTP/1.1 426 Upgrade Required")
            assert "Upgrade: websocket" in head
            assert b'"Connection: Upgrade", which proxies must pass on' in client.read_to_end()

    def test_a_second_accept(self, serve: Serve) -> None:
        def application(environ, start_response):
            accept(environ, Echo())
            return accept(environ, Echo())

        failing = Failing(application)
        echoes(serve(application=failing).connect("/"))
        assert [str(error) for error in failing.errors] == [
            "this upgrade request has been accepted or refused already"
        ]

    def test_an_accept_after_start_response(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", [])
            return accept(environ, Echo())

        failing = Failing(application)
        assert status(serve(application=failing).connect("/")) == 500
        assert "before start_response is called" in str(failing.errors[0])

    def test_an_accept_when_the_request_is_answered(self, serve: Serve) -> None:
        environs: list[dict[str, Any]] = []

        def application(environ, start_response):
            environs.append(environ)
            raise HandshakeError(401)

        assert status(serve(application=application).connect("/")) == 401
        with pytest.raises(RuntimeError, match="before start_response"):
            accept(environs[0], Echo())

    @pytest.mark.parametrize("how", ["accept", "wsgi.websocket"])
    def test_an_accept_in_a_native_thread(self, serve: Serve, how: str) -> None:
        def application(environ, start_response):
            pool = gevent.get_hub().threadpool
            if how == "accept":
                return pool.apply(accept, (environ, Echo()))
            return pool.apply(environ["wsgi.websocket"].send, ("hello",))

        failing = Failing(application)
        assert status(serve(application=failing).connect("/")) == 500
        [error] = failing.errors
        assert type(error) is RuntimeError
        assert "must be accepted in the thread of the server" in str(error)

    def test_after_which_it_may_be_accepted_where_it_should_be(self, serve: Serve) -> None:
        def application(environ, start_response):
            with pytest.raises(RuntimeError, match="native thread"):
                gevent.get_hub().threadpool.apply(accept, (environ, Echo()))
            return accept(environ, Echo())

        echoes(serve(application=application).connect("/"))

    def test_another_server(self) -> None:
        environ = {
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "keep-alive, Upgrade",
            "SERVER_SOFTWARE": "Werkzeug/3.1",
        }
        with pytest.raises(RuntimeError, match=r"Werkzeug/3\.1 cannot open WebSockets.*WebSocketServer"):
            accept(environ, Echo())

    @pytest.mark.parametrize("service", [Echo, object(), None])
    def test_anything_but_a_service(self, serve: Serve, service: Any) -> None:
        failing = Failing(Accepting(service))
        assert status(serve(application=failing).connect("/")) == 500
        assert isinstance(failing.errors[0], TypeError)


def test_a_raw_takeover_is_refused_after_start_response(serve: Serve) -> None:
    def application(environ, start_response):
        start_response("200 OK", [])
        with pytest.raises(RuntimeError, match="before start_response"):
            environ["geventkws.upgrade"](Echo())
        return [b"ordinary"]

    site: Site = serve(application=application)
    assert site.connect("/").read_to_end() == b"ordinary"
