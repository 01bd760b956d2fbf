"""What a connection leaves when it is over: nothing for the garbage collector, and a channel of nobody's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from geventkws import WebSocketConnection, WebSocketService, accept
from geventkws.loop.loop import Loop
from geventkws.loop.nobody import Nobody
from tests.certificates import Certificates
from tests.garbage import no_channel_left, no_collector
from tests.integration.conftest import Serve, serve
from tests.raw import PING, TEXT, RawClient, close_frame, masked, upgrade_request
from tests.tls import tls_socket
from tests.waiting import wait_until

__all__ = ["no_collector", "serve"]

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"


class Echo(WebSocketService):
    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        if message == "fail":
            raise ValueError(message)
        if message == "thread":
            gevent.get_hub().threadpool.apply(connection.send, (message,))
        connection.send(message)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    if environ["PATH_INFO"] == "/switched":
        start_response("101 Switching Protocols", [("Upgrade", "x"), ("Connection", "Upgrade")])
        yield b""
        return
    if environ["PATH_INFO"] == "/taken":
        environ["geventkws.socket"].sendall(b"mine")
        return
    if environ["PATH_INFO"] == "/accepting":
        yield from accept(environ, Echo())
        return
    if environ["PATH_INFO"] == "/failing":
        raise ValueError("on purpose")
    gevent.sleep(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield environ["wsgi.input"].read() or b"hello"


OLD_UPGRADE = upgrade_request("/%s").replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 7")
HTTP = {
    "answered": GET,
    "answered with a body": POST,
    "failing": GET.replace(b"/ ", b"/failing "),
    "cut off in its body": POST[:-1],
    "broken in its body": POST.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "refused": b"GET  / HTTP/1.1\r\n\r\n",
    "taken": upgrade_request("/taken"),
    "taken with bytes behind": upgrade_request("/taken") + b"yours",
    "switched": upgrade_request("/switched"),
    "an upgrade that is answered otherwise": upgrade_request("/"),
    "taken by a page of another origin": upgrade_request("/taken", "Origin: http://evil.example"),
    "silent": b"",
    "half a head": GET[:20],
    "not a WebSocket": OLD_UPGRADE % b"service",
    "not one that is accepted": OLD_UPGRADE % b"accepting",
}
WEBSOCKETS = {
    "closed": masked(TEXT, "hello") + close_frame(1000),
    "broken": b"\xff" * 20,
    "failing": masked(TEXT, "fail"),
    "lost": masked(PING),
    "answered from a thread": masked(TEXT, "thread") + close_frame(1000),
}


@pytest.mark.usefixtures("no_collector")
class TestNothingIsLeftToTheGarbageCollector:
    @pytest.mark.parametrize("request_", HTTP.values(), ids=HTTP)
    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_by_http(self, serve: Serve, certificates: Certificates, request_: bytes, secure: bool) -> None:
        files = {"certfile": certificates.certfile, "keyfile": certificates.keyfile} if secure else {}
        site = serve(Echo(), application=application, **files)
        with no_channel_left():
            sock = tls_socket(site.port, certificates.client()) if secure else None
            with RawClient(site.port, sock=sock) as client:
                client.send(request_)
                client.half_close()
                client.read_to_end()

    @pytest.mark.parametrize("sent", [b"", GET[:20], POST[:-1]], ids=["silent", "half a head", "half a body"])
    def test_by_tls_that_is_reset(self, serve: Serve, certificates: Certificates, sent: bytes) -> None:
        site = serve(application=application, certfile=certificates.certfile, keyfile=certificates.keyfile)
        with no_channel_left():
            client = RawClient(site.port, sock=tls_socket(site.port, certificates.client()))
            client.send(GET.replace(b"close", b"keep-alive"))
            client.read_head()
            client.send(sent)
            client.reset()

    @pytest.mark.parametrize("frames", WEBSOCKETS.values(), ids=WEBSOCKETS)
    def test_by_a_websocket(self, serve: Serve, frames: bytes) -> None:
        site = serve(Echo())
        with no_channel_left(), site.connect() as client:
            client.send(frames)
            client.half_close()
            client.read_to_end()

    def test_by_one_that_is_turned_away(self, serve: Serve) -> None:
        site = serve(max_connections=1)
        with site.connect(None):
            wait_until(lambda: site.server.http_connections == 1)
            with no_channel_left(), site.connect(None) as client:
                client.send(GET)
                assert client.read_head().startswith("HTTP/1.1 503")
                client.read_to_end()


def test_nobody_does_nothing_but_explain_errors(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    nobody = Nobody(loop)
    assert not nobody._readable()
    assert not nobody._is_busy()
    assert nobody._describe() == "nobody"
    nobody._check(0.0)
    for act in (nobody._proceed, nobody._flush, nobody._hurry, nobody._abandon, nobody._forsake):
        act()
    nobody._crashed(ConnectionResetError())
    assert not caplog.records
    nobody._crashed(ValueError("ours"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
