"""``geventkws.testing.connect``: the whole server over a socket pair."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any
from weakref import ref

import gevent
import pytest
from gevent.event import Event

from geventkws import ConnectionClosed, HandshakeError, ServiceRegistry, WebSocketService, accept, broadcast
from geventkws.testing import ConnectionRefused, ServiceClient, connect
from tests.programs import ROOT


class Echo(WebSocketService):
    subprotocols = ("chat",)

    def received(self, message, connection):
        connection.send(message)


@pytest.mark.parametrize("message", ["grüße", b"\x00\xff", "", "long " * 100_000])
def test_a_message_comes_back_in_its_type(message: str | bytes) -> None:
    with connect(Echo()) as client:
        client.send(message)
        assert client.receive() == message


def test_a_server_that_does_not_listen_is_not_announced(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    connect(Echo()).close()
    assert "Listening" not in caplog.text + capsys.readouterr().err


def test_what_the_service_sees_of_its_client() -> None:
    registry = ServiceRegistry()
    registry.register(Echo(), "/rooms/<room>")
    with connect(
        registry, "/rooms/tea?sugar=2", headers={"Cookie": "user=Ann"}, subprotocols=["chat"]
    ) as client:
        connection = client.connection
        assert connection.path_params == {"room": "tea"}
        assert connection.request.query["sugar"] == "2"
        assert connection.request.cookies == {"user": "Ann"}
        assert connection.request.remote_address[0] == "127.0.0.1"
        assert connection.subprotocol == client.subprotocol == "chat"


def test_on_path_may_have_parameters() -> None:
    with connect(Echo(), "/rooms/tea", on_path="/rooms/<room>") as client:
        assert client.connection.path_params == {"room": "tea"}


def test_broadcast_reaches_several() -> None:
    service = Echo()
    with connect(service) as ann, connect(service) as ben:
        broadcast([ann.connection, ben.connection], "hello")
        assert ann.receive() == ben.receive() == "hello"


def test_an_application_may_accept() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        return accept(environ, Echo())

    with connect(application) as client:
        client.send("hello")
        assert client.receive() == "hello"


class Choosy(Echo):
    def connecting(self, request):
        raise HandshakeError(int(request.query["status"]), "No", {"Location": "/login"})


class TestRefused:
    @pytest.mark.parametrize("status", [303, 401])
    def test_with_the_status_the_headers_and_the_body(self, status: int) -> None:
        with pytest.raises(ConnectionRefused) as refused:
            connect(Choosy(), f"/?status={status}")
        assert refused.value.status == status
        assert refused.value.headers["location"] == "/login"
        assert status == 303 or refused.value.body == b"No\n"

    def test_for_a_foreign_origin(self) -> None:
        with pytest.raises(ConnectionRefused) as refused:
            connect(Echo(), origin="http://evil.example")
        assert refused.value.status == 403

    def test_not_for_its_own_origin(self) -> None:
        with connect(Echo(), origin="http://localhost") as client:
            assert client.connection.request.headers["Origin"] == "http://localhost"


class TestTheEnd:
    def test_the_service_has_been_called_when_close_returns(self) -> None:
        client = connect(Echo())
        client.close(4001, "enough")
        assert not client.connection.active
        assert client.reason == 4001
        assert client.connection.close_description == "enough"
        client.close()

    @pytest.mark.parametrize(("code", "description"), [(1000, ""), (4001, "enough")])
    def test_receive_reports_the_servers_code(self, code: int, description: str) -> None:
        with connect(Echo()) as client:
            client.connection.close(code, description)
            with pytest.raises(ConnectionClosed) as closed:
                client.receive()
            assert (closed.value.reason, closed.value.description) == (code, description)
            assert client.reason == code

    def test_a_client_that_is_gone_is_1006(self) -> None:
        client = connect(Echo())
        client.shutdown()
        assert client.reason == 1006
        with pytest.raises(ConnectionClosed):
            client.receive()
        client.close()

    def test_iteration_ends_with_the_connection(self) -> None:
        with connect(Echo()) as client:
            client.connection.send("one")
            client.connection.send("two")
            client.connection.close()
            assert list(client) == ["one", "two"]


class TestTimeLimits:
    def test_receive_gives_up(self) -> None:
        with connect(Echo()) as client:
            with pytest.raises(TimeoutError, match=r"no message within 0\.01 s"):
                client.receive(timeout=0.01)
            client.send("still here")
            assert client.receive() == "still here"

    def test_a_client_that_is_never_answered_gives_up(self) -> None:
        class Silent(Echo):
            def connecting(self, request):
                gevent.sleep(60)

        with pytest.raises(Exception, match="timed out"):
            connect(Silent(), timeout=0.01)


class Slow(WebSocketService):
    """Handles messages when allowed, and answers none."""

    def __init__(self) -> None:
        self.go_on = Event()
        self.handled: list[str | bytes] = []

    def received(self, message, connection):
        self.go_on.wait()
        self.handled.append(message)


class TestSettle:
    def test_waits_until_all_is_handled(self) -> None:
        service = Slow()
        with connect(service) as client:
            for number in range(100):
                client.send(str(number))
            gevent.spawn_later(0.02, service.go_on.set)
            client.settle()
            assert len(service.handled) == 100

    def test_gives_up_on_a_service_that_is_at_work(self) -> None:
        service = Slow()
        with connect(service) as client:
            client.send("hello")
            with pytest.raises(TimeoutError, match="has not handled everything that was sent"):
                client.settle(timeout=0.01)
            service.go_on.set()

    def test_recognizes_a_service_in_the_pull_style_that_waits_for_more(self) -> None:
        taken: list[str | bytes] = []

        class Taking(WebSocketService):
            def run(self, connection):
                taken.extend(connection)

        with connect(Taking()) as client:
            client.send("one")
            client.settle()
            assert taken == ["one"]

    def test_a_connection_that_is_over_is_settled(self) -> None:
        client = connect(Slow())
        client.shutdown()
        assert client.reason == 1006
        client.settle()
        client.close()


def test_a_wrong_option_leaves_no_socket_open() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        connect(Echo(), no_such_option=1)  # type: ignore[call-arg]
    # A socket that nobody closes gives a warning, which is an error.


def test_without_its_client_the_package_says_what_to_install() -> None:
    program = "import sys; sys.modules['websocket'] = None; import geventkws.testing"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "geventkws.testing needs websocket-client: pip install 'geventkws[testing]'" in done.stderr


def test_nothing_is_left_behind() -> None:
    clients: list[ServiceClient] = [connect(Echo()) for _ in range(3)]
    servers = [client._server for client in clients]
    for client in clients:
        client.close()
    assert all(server.closed and not server.websockets and not server.http_connections for server in servers)
    assert all(server._silence.fileno() < 0 for server in servers)
    remains = [ref(server) for server in servers]
    del clients, client, servers
    gc.collect()
    assert not [each for each in remains if each() is not None]
