"""Who is believed: forwarded addresses, schemes and hosts, and the PROXY protocol."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from typing import Any

import pytest

from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import RawClient, upgrade_request

FORWARDED = {
    "X-Forwarded": (
        "X-Forwarded-For: 198.51.100.7, 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: www.example.org",
        "X-Forwarded-Port: 443",
    ),
    "Forwarded": (
        "Forwarded: for=198.51.100.7, for=192.0.2.1;proto=https;host=www.example.org",
        "X-Forwarded-Port: 443",
    ),
}
TRUST = {"trusted_proxies": ["127.0.0.0/8"]}
KEYS = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT")


def tell(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([environ[key] for key in KEYS]).encode()]


def told(site: Site, *lines: str, before: bytes = b"") -> Any:
    with RawClient(site.port) as client:
        fields = "".join(f"{line}\r\n" for line in lines)
        client.send(before + f"GET / HTTP/1.1\r\nHost: own\r\nConnection: close\r\n{fields}\r\n".encode())
        head = client.read_head()
        return json.loads(client.read_to_end()) if head.startswith("HTTP/1.1 200") else head[9:12]


@pytest.mark.parametrize("kind", FORWARDED)
class TestForwardedFields:
    def test_a_trusted_proxy_is_believed(self, serve: Serve, kind: str) -> None:
        site = serve(application=tell, **TRUST)
        assert told(site, *FORWARDED[kind]) == ["192.0.2.1", "https", "www.example.org", "443"]

    @pytest.mark.parametrize("proxies", [[], ["10.0.0.0/8"]])
    def test_nobody_else_is(self, serve: Serve, kind: str, proxies: list[str]) -> None:
        site = serve(application=tell, trusted_proxies=proxies)
        assert told(site, *FORWARDED[kind]) == ["127.0.0.1", "http", "own", str(site.port)]

    def test_services_see_the_same(self, serve: Serve, kind: str) -> None:
        service = Recorder()
        site = serve(service, **TRUST)
        site.connect("/service", *FORWARDED[kind])
        service.expect("connected")
        request = service.connections[0].request
        assert request.remote_address[0] == "192.0.2.1"
        assert request.headers["Host"] == "www.example.org"
        assert [request.environ[key] for key in KEYS] == ["192.0.2.1", "https", "www.example.org", "443"]

    @pytest.mark.parametrize(
        ("origin", "status"), [("https://www.example.org", "101"), ("http://127.0.0.1", "403")]
    )
    def test_the_origin_must_be_that_of_the_forwarded_host(
        self, serve: Serve, kind: str, origin: str, status: str
    ) -> None:
        site = serve(Recorder(), **TRUST)
        head = site.connect("/service", *FORWARDED[kind], f"Origin: {origin}").head
        assert head.startswith(f"HTTP/1.1 {status}")

    def test_each_request_of_a_proxys_connection_has_its_own_client(self, serve: Serve, kind: str) -> None:
        site = serve(application=tell, **TRUST)
        with RawClient(site.port) as client:
            fields = "\r\n".join(FORWARDED[kind])
            client.send(f"GET / HTTP/1.1\r\nHost: own\r\n{fields}\r\n\r\n".encode())
            client.send(b"GET / HTTP/1.1\r\nHost: own\r\nConnection: close\r\n\r\n")
            data = client.read_to_end()
        assert data.index(b'"192.0.2.1", "https"') < data.index(b'"127.0.0.1", "http", "own"')


def test_contradictions_are_refused(serve: Serve) -> None:
    site = serve(application=tell, **TRUST)
    assert told(site, "Forwarded: for=1.1.1.1", "X-Forwarded-For: 2.2.2.2") == "400"


PROXY_1 = b"PROXY TCP4 192.0.2.1 127.0.0.1 5000 80\r\n"
PROXY_2 = bytes.fromhex("0d0a0d0a000d0a515549540a" + "2111000c" + "c0000201" + "7f000001" + "1388" + "0050")


def proxied(host: str) -> bytes:
    return f"PROXY TCP6 {host} ::1 5000 80\r\n".encode()


class TestTheProxyProtocol:
    @pytest.mark.parametrize("header", [PROXY_1, PROXY_2])
    def test_the_client_is_the_one_in_the_header(self, serve: Serve, header: bytes) -> None:
        site = serve(application=tell, proxy_protocol=True)
        assert told(site, before=header) == ["192.0.2.1", "http", "own", str(site.port)]

    def test_a_proxy_may_speak_for_itself(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True)
        assert told(site, before=b"PROXY UNKNOWN\r\n") == ["127.0.0.1", "http", "own", str(site.port)]

    def test_a_service_sees_the_client(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service, proxy_protocol=True).connect(None)
        client.send(PROXY_2 + upgrade_request("/service"))
        assert client.read_head().startswith("HTTP/1.1 101")
        service.expect("connected")
        assert service.connections[0].request.remote_address == ("192.0.2.1", 5000)

    @pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"PROXY", b""])
    def test_without_the_header_the_connection_is_closed(self, serve: Serve, sent: bytes) -> None:
        site = serve(application=tell, proxy_protocol=True, head_timeout=0.1)
        with RawClient(site.port) as client:
            client.send(sent)
            with suppress(ConnectionResetError):  # if bytes sent after it were not read
                assert client.read_to_end() == b""
        site.wait_until_empty()

    def test_only_trusted_proxies_may_send_it(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True, trusted_proxies=["10.0.0.1"])
        with pytest.raises((ConnectionError, EOFError)):
            told(site, before=PROXY_1)
        trusted = serve(application=tell, proxy_protocol=True, **TRUST)
        assert told(trusted, before=PROXY_1)[0] == "192.0.2.1"

    def test_ipv6_clients_are_counted_by_their_network(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True, max_connections_per_address=1)
        held = site.connect(None)
        held.send(proxied("2001:db8::1") + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        held.read_head()
        assert told(site, before=proxied("2001:db8::ffff")) == "503"
        assert told(site, before=proxied("2001:db8:0:1::1"))[0] == "2001:db8:0:1::1"

    def test_a_reset_within_it_is_not_an_error(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True)
        client = site.connect(None)
        client.send(b"PROXY")
        client.reset()
        site.wait_until_empty()

    def test_clients_are_counted_by_the_address_in_the_header(self, serve: Serve) -> None:
        site = serve(application=tell, proxy_protocol=True, max_connections_per_address=1, **TRUST)
        held = site.connect(None)
        held.send(PROXY_1 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        held.read_head()
        assert told(site, before=PROXY_1) == "503"
        assert told(site, before=PROXY_1.replace(b"192.0.2.1", b"192.0.2.2"))[0] == "192.0.2.2"

    def test_it_comes_before_tls(self, serve: Serve, tmp_path) -> None:
        trustme = pytest.importorskip("trustme")
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        certificate.configure_cert(server)
        authority.configure_trust(client)
        site = serve(application=tell, proxy_protocol=True, ssl_context=server)
        with RawClient(site.port) as raw:
            raw.send(PROXY_1)
            raw.sock = client.wrap_socket(raw.sock, server_hostname="localhost")
            raw.send(b"GET / HTTP/1.1\r\nHost: own\r\nConnection: close\r\n\r\n")
            raw.read_head()
            assert json.loads(raw.read_to_end()) == ["192.0.2.1", "https", "own", str(site.port)]
