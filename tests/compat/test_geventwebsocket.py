"""Applications of gevent-websocket, and of what is made for it: the real packages, served by geventkws."""

from __future__ import annotations

import importlib
from typing import Any

import geventwebsocket
import pytest
import requests

from geventkws import WebSocketServer as Server
from geventkws.compat import geventwebsocket as ours
from geventkws.compat.geventwebsocket import Resource, WebSocketApplication, WebSocketServer
from geventkws.compat.geventwebsocket.gunicorn.workers import GeventWebSocketWorker
from geventkws.compat.geventwebsocket.resource import Protocol
from geventkws.gunicorn import Worker
from tests.compat.conftest import OTHER_WAYS, WAYS, Run
from tests.garbage import no_channel_left, no_collector
from tests.integration.conftest import Serve
from tests.raw import BINARY, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import wait_until

__all__ = ["no_collector"]


def page(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/", timeout=20).text


def close(client: RawClient) -> None:
    client.send(close_frame(1000))
    assert client.close_code() == (1000, "")
    client.close()


@pytest.mark.parametrize("run", [*WAYS, *OTHER_WAYS], indirect=True)
def test_gevent_websocket(run: Run) -> None:
    port = run("gevent_websocket_app")
    assert page(port) == "page"
    with RawClient(port, "/chat") as ann, RawClient(port, "/chat") as bob:
        assert ann.frame() == bob.frame() == Frame(TEXT, b"welcome")
        ann.send(masked(TEXT, "hi"))
        assert ann.frame() == bob.frame() == Frame(TEXT, b"hi")
        close(ann)
        assert bob.frame() == Frame(TEXT, b"somebody has left")
        close(bob)
    with RawClient(port, "/echo") as client:
        client.send(masked(TEXT, "text") + masked(BINARY, b"\0"))
        assert [client.frame(), client.frame()] == [Frame(TEXT, b"text"), Frame(BINARY, b"\0")]
        close(client)


def test_flask_sockets(run: Run) -> None:
    port = run("flask_sockets_app")
    assert page(port) == "page"
    with RawClient(port, "/echo/ann?mark=!") as client:
        client.send(masked(TEXT, "hi"))
        assert client.frame() == Frame(TEXT, b"ann ! hi")
        close(client)


def test_the_decorator_of_flask_sockets_works_on_no_server_with_this_werkzeug() -> None:
    """When this fails, the page about gevent-websocket can be shorter."""
    from werkzeug.routing import WebsocketMismatch

    from tests.compat.flask_sockets_app import sockets

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/decorated",
        "HTTP_HOST": "h",
        "SERVER_NAME": "h",
        "wsgi.url_scheme": "http",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_UPGRADE": "websocket",
    }
    with pytest.raises(WebsocketMismatch):
        sockets.url_map.bind_to_environ(environ).match()


def test_bottle_websocket(run: Run) -> None:
    port = run("bottle_websocket_app")
    assert page(port) == "page"
    with RawClient(port, "/echo/ann") as client:
        client.send(masked(TEXT, "hi"))
        assert client.frame() == Frame(TEXT, b"ann hi")
        close(client)


class TestOurNames:
    """``geventkws.compat.geventwebsocket`` in place of ``geventwebsocket``."""

    @pytest.mark.parametrize("module", ["", ".exceptions", ".resource", ".server", ".websocket"])
    def test_they_are_theirs(self, module: str) -> None:
        names = importlib.import_module("geventkws.compat.geventwebsocket" + module)
        theirs = importlib.import_module("geventwebsocket" + module)
        public = [name for name in getattr(names, "__all__", ()) if name != "WebSocket"]
        assert all(hasattr(theirs, name) for name in public)
        for name in public:
            if name.startswith("MSG_"):
                assert getattr(names, name) == getattr(theirs, name)

    def test_what_is_missing(self) -> None:
        assert set(geventwebsocket.__all__) - set(ours.__all__) == {"get_version"}

    def test_the_worker(self) -> None:
        assert GeventWebSocketWorker is Worker

    def test_the_server(self) -> None:
        class Named(Protocol):
            PROTOCOL_NAME = "chat.example"

            def on_open(self) -> None:
                self.app.ws.send(f"{len(self.server.clients)} here, {self.handler.client_address[0]}")
                super().on_open()

        class Chat(WebSocketApplication):
            protocol_class = Named

            def on_close(self, *args: Any, **kwargs: Any) -> None:
                gone.append(self)

        gone: list[Chat] = []
        server = WebSocketServer(("127.0.0.1", 0), Resource([("/chat", Chat)]))
        assert isinstance(server, Server)
        server.start()
        port = server.server_port or 0
        try:
            with RawClient(port, "/chat", "Sec-WebSocket-Protocol: other, chat.example") as client:
                assert "Sec-WebSocket-Protocol: chat.example" in client.head
                assert client.frame() == Frame(TEXT, b"1 here, 127.0.0.1")
                (entry,) = server.clients.values()
                entry.ws.send("from outside")
                assert client.frame() == Frame(TEXT, b"from outside")
                client.send(masked(TEXT, "back"))
                assert client.frame() == Frame(TEXT, b"back")
                close(client)
            wait_until(lambda: gone and not server.clients)
        finally:
            server.stop(timeout=5)

    def test_the_defaults_of_an_application(self, serve: Serve) -> None:
        site = serve(application=Resource({"/$": WebSocketApplication}))
        client = site.connect("/")
        client.send(masked(TEXT, "echo"))
        assert client.frame() == Frame(TEXT, b"echo")
        close(client)
        site.wait_until_empty()

    @pytest.mark.usefixtures("no_collector")
    def test_nothing_is_left_to_the_garbage_collector(self, serve: Serve) -> None:
        def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            ws = environ["wsgi.websocket"]
            assert ws.handler.active_client.ws is ws
            ws.send(ws.receive())
            return []

        site = serve(application=echo)
        with no_channel_left(), site.connect("/") as client:
            client.send(masked(TEXT, "echo"))
            assert client.frame() == Frame(TEXT, b"echo")
            close(client)

    def test_a_resource_chooses_by_path_and_kind(self, serve: Serve) -> None:
        def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Length", "5")])
            return [b"plain"]

        site = serve(application=Resource([("/both", WebSocketApplication), ("/both", plain)]))
        assert requests.get(f"http://127.0.0.1:{site.port}/both", timeout=20).text == "plain"
        assert requests.get(f"http://127.0.0.1:{site.port}/other", timeout=20).status_code == 404
        assert site.connect("/both").head.startswith("HTTP/1.1 101 ")
        assert site.connect("/other").head.startswith("HTTP/1.1 404 ")
