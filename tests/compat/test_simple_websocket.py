"""Applications of simple-websocket and flask-sock: the real packages, served by geventkws."""

from __future__ import annotations

import pytest
import requests

from tests.certificates import Certificates
from tests.compat.conftest import Run
from tests.integration.conftest import Serve
from tests.raw import BINARY, PING, PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.tls import tls_socket


def ends(client: RawClient, code: int = 1000, text: str = "") -> None:
    """Read the close frame, answer it and read the end, so that the server is rid of the connection."""
    assert client.close_code() == (code, text)
    client.send(close_frame(code))
    client.read_to_end()


def test_flask_sock(run: Run) -> None:
    port = run("flask_sock_app")
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=20).text == "page"
    with RawClient(port, "/echo/ann", "Sec-WebSocket-Protocol: other, chat.example") as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        assert client.frame() == Frame(TEXT, b"chat.example")
        client.send(masked(TEXT, "hi") + masked(BINARY, b"\0"))
        assert [client.frame(), client.frame()] == [Frame(TEXT, b"ann hi"), Frame(BINARY, b"\0")]
        client.send(masked(PING, "?"))
        assert client.frame() == Frame(PONG, b"?")
        client.send(masked(TEXT, "bye"))
        ends(client)
    with RawClient(port, "/patient") as client:
        assert client.frame() == Frame(TEXT, b"nothing")
        client.send(masked(TEXT, "why"))
        ends(client, 4001, "why")
    with RawClient(port, "/echo/ann") as client:
        assert client.frame() == Frame(TEXT, b"None")
        client.send(masked(TEXT, "x" * 101))
        assert client.close_code()[0] == 1009


def test_simple_websocket(run: Run) -> None:
    port = run("simple_websocket_app")
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=20).text == "page"
    with RawClient(port, "/echo") as client:
        client.send(masked(TEXT, "hi"))
        assert client.frame() == Frame(TEXT, b"hi")
        client.send(close_frame(4000, "enough"))
        assert client.close_code() == (4000, "enough")
    with RawClient(port, "/pings") as client:
        assert client.frame().opcode == PING


@pytest.mark.parametrize("kind", ["plain", "read-ahead", "tls"])
@pytest.mark.parametrize("end", ["close", "vanish"])
def test_each_kind_of_connection(kind: str, end: str, serve: Serve, certificates: Certificates) -> None:
    from tests.compat.simple_websocket_app import app

    tls = {"certfile": certificates.certfile, "keyfile": certificates.keyfile} if kind == "tls" else {}
    site = serve(application=app, **tls)
    sock = tls_socket(site.port, certificates.client()) if kind == "tls" else None
    client = site.connect("/echo", sock=sock, behind=masked(TEXT, "1") if kind == "read-ahead" else b"")
    client.send(b"" if kind == "read-ahead" else masked(TEXT, "1"))
    assert client.frame() == Frame(TEXT, b"1")
    if end == "close":
        client.send(close_frame(1000))
        assert client.close_code()[0] == 1000
    client.close()
    site.wait_until_empty()


@pytest.mark.logs_errors
def test_pages_of_other_origins_get_403(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    from tests.compat.flask_sock_app import app

    site = serve(application=app)
    assert site.connect("/echo/x", "Origin: http://evil.example").head.startswith("HTTP/1.1 403 ")
    assert "list the origin in upgrade_origins" in caplog.text
    site = serve(application=app, upgrade_origins="*")
    client = site.connect("/echo/x", "Origin: http://evil.example")
    assert client.head.startswith("HTTP/1.1 101 ")
    client.send(masked(TEXT, "bye"))
    ends(client)
    site.wait_until_empty()


def test_a_second_socket_of_a_connection_keeps_the_time_limit(serve: Serve) -> None:
    seen: list[object] = []

    def app(environ, start_response):
        sock = environ["geventkws.socket"]
        sock.setblocking(False)
        assert sock.gettimeout() == 0
        sock.settimeout(7)
        copy = environ["wsgi.input"].raw._sock.dup()
        seen.extend([copy.gettimeout(), copy.getpeername() == sock.getpeername()])
        seen.append(environ["wsgi.input"].read())
        sock.sendall(b"HTTP/1.1 101 x\r\n\r\n")
        copy.close()
        return []

    site = serve(application=app)
    site.connect("/").read_to_end()
    site.wait_until_empty()
    assert seen == [7, True, b""]
