"""Connections before their first request: the PROXY header and the handshake, in pieces or not at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from geventkws.server import shutdown
from tests.certificates import Certificates
from tests.helpers import byte_by_byte
from tests.integration.conftest import Echo, Serve, Site
from tests.raw import TEXT, Frame, RawClient, masked
from tests.tls import RecordSocket, connected_socket
from tests.waiting import PATIENCE, wait_until

PROXY_1 = b"PROXY TCP4 192.0.2.1 127.0.0.1 5000 80\r\n"
PROXY_2 = bytes.fromhex("0d0a0d0a000d0a515549540a" + "2111000c" + "c0000201" + "7f000001" + "1388" + "0050")
LAST_GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

LIMIT = 0.7
"""Seconds of a time limit that passes while the hub is blocked."""


def block(seconds: float) -> None:
    get_original("time", "sleep")(seconds)


both_headers = pytest.mark.parametrize("header", [PROXY_1, PROXY_2], ids=["version 1", "version 2"])


def tell(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]]).encode()]


def trickle(sock: socket.socket, data: bytes) -> None:
    """Send ``data`` byte by byte; the server has its turn after each byte."""
    for piece in byte_by_byte(data):
        sock.sendall(piece)
        gevent.sleep(0)


def secure(serve: Serve, certificates: Certificates, *args: Any, **options: Any) -> Site:
    files = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    return serve(*args, application=tell, proxy_protocol=True, **files, **options)


class TestInPieces:
    @both_headers
    def test_a_header_may_come_byte_by_byte(self, serve: Serve, header: bytes) -> None:
        client = serve(application=tell, proxy_protocol=True).connect(None)
        trickle(client.sock, header + LAST_GET)
        client.read_head()
        assert json.loads(client.read_to_end()) == ["192.0.2.1", "http"]

    @both_headers
    def test_so_may_the_handshake_after_it(
        self, serve: Serve, certificates: Certificates, header: bytes
    ) -> None:
        site = secure(serve, certificates)
        sock = RecordSocket(connected_socket(site.port), certificates.client(), byte_by_byte)
        trickle(sock.sock, header)
        sock.handshake()
        client = site.connect(None, sock=sock)
        client.send(LAST_GET)
        client.read_head()
        assert json.loads(client.read_to_end()) == ["192.0.2.1", "https"]

    @both_headers
    def test_the_header_and_the_first_flight_may_come_in_one(
        self, serve: Serve, certificates: Certificates, header: bytes
    ) -> None:
        service = Echo()
        site = secure(serve, certificates, service)
        sock = RecordSocket(connected_socket(site.port), certificates.client())
        sock.sock.sendall(header + sock.take_client_hello())
        sock.handshake()
        client = site.connect(sock=sock)
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")
        assert service.connections[0].request.remote_address == ("192.0.2.1", 5000)


class TestTimeLimits:
    def expect_the_end(self, client: RawClient) -> None:
        """Read to the end, for which only one limit is short enough."""
        with suppress(ConnectionResetError):
            assert client.read_to_end() == b""

    @pytest.mark.parametrize("sent", [b"", PROXY_1[:20], PROXY_2[:14]])
    def test_a_header_that_stalls_has_that_of_a_head(self, serve: Serve, sent: bytes) -> None:
        site = serve(application=tell, proxy_protocol=True, head_timeout=0.2)
        client = site.connect(None)
        client.send(sent)
        self.expect_the_end(client)
        site.wait_until_empty()

    def test_a_header_that_trickles_in_is_not_given_more(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True, head_timeout=0.2)
        client = site.connect(None)

        def drip() -> None:
            with suppress(OSError):
                for piece in byte_by_byte(PROXY_1):
                    client.send(piece)
                    gevent.sleep(0.05)

        dripping = gevent.spawn(drip)
        self.expect_the_end(client)
        assert not dripping.dead, "the header was not complete"
        dripping.kill()

    @pytest.mark.parametrize("share", [0, 1, 0.5])
    def test_a_handshake_that_stalls_after_a_header_has_its_own(
        self, serve: Serve, certificates: Certificates, share: float
    ) -> None:
        """``share`` of the first flight has arrived; if it was all, the answer is left unread."""
        site = secure(serve, certificates, handshake_timeout=0.2, head_timeout=600)
        sock = RecordSocket(connected_socket(site.port), certificates.client())
        hello = sock.take_client_hello()
        sock.sock.sendall(PROXY_1 + hello[: int(len(hello) * share)])
        with gevent.Timeout(PATIENCE):
            while site.server.http_connections == 0:
                gevent.sleep(0.001)
        site.wait_until_empty()
        sock.close()

    def test_those_that_stall_keep_nobody_waiting(self, serve: Serve, certificates: Certificates) -> None:
        site = secure(serve, certificates)
        stuck = [site.connect(None) for _ in range(20)]
        for client in stuck:
            client.send(PROXY_1 + b"\x16\x03\x01")
        sock = connected_socket(site.port)
        sock.sendall(PROXY_2)
        tls = certificates.client().wrap_socket(sock, server_hostname="127.0.0.1")
        client = site.connect(None, sock=tls)
        client.send(LAST_GET)
        assert client.read_head().startswith("HTTP/1.1 200")

    def test_stop_waits_a_second_for_them(
        self, serve: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutdown, "LAST_MOMENT", 60.0)
        site = secure(serve, certificates, handshake_timeout=60, head_timeout=60)
        halfway, silent = site.connect(None), site.connect(None)
        halfway.send(PROXY_1 + b"\x16\x03\x01")
        with gevent.Timeout(PATIENCE):
            while site.server.http_connections < 2:
                gevent.sleep(0.001)
            site.server.stop(timeout=60)
        self.expect_the_end(halfway)
        self.expect_the_end(silent)


class TestABlockedHub:
    """What has arrived while the server was held up counts, though it is looked at after the time limit."""

    def test_a_header_that_waits_in_the_kernel_counts(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True, head_timeout=LIMIT)
        client = site.connect(None)
        wait_until(lambda: site.server.http_connections == 1)
        client.send(PROXY_1 + LAST_GET)
        block(LIMIT)
        assert client.read_head().startswith("HTTP/1.1 200")

    def test_the_end_of_a_handshake_that_waits_in_the_kernel_counts(
        self, serve: Serve, certificates: Certificates
    ) -> None:
        files = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
        site = serve(application=tell, handshake_timeout=LIMIT, **files)
        sock = RecordSocket(connected_socket(site.port), certificates.client())
        sock.handshake()
        client = site.connect(None, sock=sock)
        client.send(LAST_GET)
        block(LIMIT)
        assert client.read_head().startswith("HTTP/1.1 200")


def test_one_too_many_is_told_so_over_tls_after_its_header(serve: Serve, certificates: Certificates) -> None:
    site = secure(serve, certificates, max_connections=1)
    held = RecordSocket(connected_socket(site.port), certificates.client())
    held.sock.sendall(PROXY_1)
    held.handshake()
    late = RecordSocket(connected_socket(site.port), certificates.client())
    late.sock.sendall(PROXY_2)
    late.handshake()
    client = site.connect(None, sock=late)
    assert client.read_head().startswith("HTTP/1.1 503")
    held.close()
