"""https and wss on one port: handshakes, client certificates, records however they arrive, and the end."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import KeyUpdateMessageType

from geventkws import WebSocketConnection, WebSocketServer
from geventkws.net import tls_records
from tests.certificates import HOST, Certificates
from tests.helpers import Feed, byte_by_byte
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    close_frame,
    masked,
    upgrade_request,
)
from tests.tls import RecordSocket, connected_socket, tls_socket
from tests.waiting import PATIENCE

TLS_1_2 = ssl.TLSVersion.TLSv1_2
TLS_1_3 = ssl.TLSVersion.TLSv1_3
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

both_versions = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=lambda version: version.name)


class Application:
    """Answers with ``body``, and keeps the environs."""

    def __init__(self, body: bytes = b"hello") -> None:
        self.body = body
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.environs.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(self.body)))])
        return [self.body]


@pytest.fixture
def serve_tls(serve: Serve, certificates: Certificates) -> Serve:
    """Start a server as ``serve`` does, with the files of a certificate unless a context is given."""

    def start(*args: Any, **options: Any) -> Site:
        if "ssl_context" not in options:
            options |= {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
        return serve(*args, **options)

    return start


def wss(
    site: Site, sock: Any, *headers: str, path: str | None = "/service", behind: bytes = b""
) -> RawClient:
    """Return a WebSocket client on a TLS socket; ``path=None`` sends nothing yet."""
    return site.connect(path, *headers, sock=sock, behind=behind)


def records(site: Site, context: ssl.SSLContext, *feed: Feed) -> RecordSocket:
    """Return a client that has not done its handshake yet."""
    return RecordSocket(connected_socket(site.port), context, *feed)


class TestOnePort:
    @both_versions
    def test_https_and_wss_are_served(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        application = Application()
        site = serve_tls(Echo(), application=application)
        client = wss(site, tls_socket(site.port, certificates.client(version)), path=None)
        client.send(GET)
        assert client.read_head().startswith("HTTP/1.1 200 ")
        assert client.read_body(5) == b"hello"
        client.send(upgrade_request("/service") + masked(TEXT, "hello"))
        assert client.read_head().startswith("HTTP/1.1 101 ")
        assert client.frame() == Frame(TEXT, b"hello")
        [environ] = application.environs
        assert environ["wsgi.url_scheme"] == "https"

    def test_a_certificate_with_its_key_in_one_file(self, serve: Serve, certificates: Certificates) -> None:
        site = serve(Echo(), certfile=certificates.bothfile)
        client = wss(site, tls_socket(site.port, certificates.client()))
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")

    @both_versions
    def test_the_environ_has_version_and_cipher(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        application = Application()
        site = serve_tls(Recorder(), application=application)
        sock = tls_socket(site.port, certificates.client(version))
        client = wss(site, sock, path=None)
        client.send(GET)
        client.read_head()
        [environ] = application.environs
        assert environ["HTTPS"] == "on"
        assert environ["SSL_PROTOCOL"] == sock.version()
        cipher = sock.cipher()
        assert cipher
        assert environ["SSL_CIPHER"] == cipher[0]
        assert environ["SSL_CLIENT_VERIFY"] == "NONE"
        assert not [key for key in environ if key.startswith(("SSL_CLIENT_S", "SSL_CLIENT_C"))]

    def test_alpn_chooses_http_1_1(self, serve_tls: Serve, certificates: Certificates) -> None:
        site = serve_tls(Recorder())
        context = certificates.client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with tls_socket(site.port, context) as sock:
            assert sock.selected_alpn_protocol() == "http/1.1"

    def test_the_application_learns_nothing_of_tls_on_a_plain_port(self, serve: Serve) -> None:
        application = Application()
        service = Recorder()
        site = serve(service, application=application)
        with site.connect(None) as client:
            client.send(GET)
            client.read_head()
        site.connect()
        service.expect("connected")
        [environ] = application.environs
        assert not [key for key in environ if key.startswith(("SSL", "HTTPS"))]
        assert service.connections[0].request.peer_certificate is None

    def test_records_leave_at_once(self, serve_tls: Serve, certificates: Certificates) -> None:
        options: list[int] = []

        def look(connection: WebSocketConnection) -> None:
            with socket.socket(fileno=socket.dup(connection._channel.transport.fileno())) as sock:
                options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        service = Recorder(connected=look)
        site = serve_tls(service)
        wss(site, tls_socket(site.port, certificates.client()))
        service.expect("connected")
        assert options
        assert all(options)


class TestTheServersContext:
    def test_by_default_versions_before_1_2_are_refused(self, serve_tls: Serve) -> None:
        context = serve_tls(Recorder()).server.ssl_context
        assert context
        assert context.minimum_version is TLS_1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION

    def test_the_minimum_version_of_a_given_context_holds(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        context = certificates.server()
        context.minimum_version = TLS_1_3
        site = serve_tls(Echo(), ssl_context=context)
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            tls_socket(site.port, certificates.client(TLS_1_2))
        client = wss(site, tls_socket(site.port, certificates.client(TLS_1_3)))
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")

    def test_what_cannot_serve_is_refused_before_anybody_connects(self, certificates: Certificates) -> None:
        with pytest.raises(ValueError, match="for clients"):
            WebSocketServer((HOST, 0), ssl_context=certificates.client())
        with pytest.raises(TypeError, match=r"ssl\.SSLContext"):
            WebSocketServer((HOST, 0), ssl_context="server.pem")  # type: ignore[arg-type]  # the mistake
        with pytest.raises(TypeError, match="not both"):
            WebSocketServer((HOST, 0), certfile=certificates.certfile, ssl_context=certificates.server())
        with pytest.raises(TypeError, match="certfile"):
            WebSocketServer((HOST, 0), keyfile=certificates.keyfile)
        with pytest.raises(FileNotFoundError):
            WebSocketServer((HOST, 0), certfile="/nowhere.pem")
        with pytest.raises(ssl.SSLError):
            WebSocketServer((HOST, 0), certfile=certificates.certfile)  # its key is elsewhere


class TestTheHandshake:
    @pytest.mark.parametrize(
        "request_", [GET, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", upgrade_request("/service"), b"G"]
    )
    def test_plain_http_is_told_to_speak_tls(self, serve_tls: Serve, request_: bytes) -> None:
        site = serve_tls(Recorder())
        client = site.connect(None)
        client.send(request_)
        head = client.read_head()
        assert head.startswith("HTTP/1.1 400 ")
        body = client.read_to_end()
        assert f"Content-Length: {len(body)}" in head
        assert b"https://" in body
        client.close()
        site.wait_until_empty()

    @pytest.mark.parametrize(
        "garbage",
        [
            bytes(100),
            b"\x16\x03\x01\x00\x05GET /",
            b"\x80\x2e\x01\x00\x02",
            b"\x15\x03\x03\x00\x02\x02\x00",
            b"",
        ],
    )
    def test_garbage_closes_the_connection(self, serve_tls: Serve, garbage: bytes) -> None:
        site = serve_tls(Recorder())
        client = site.connect(None)
        client.send(garbage)
        client.half_close()
        assert b"HTTP" not in client.read_to_end()
        client.close()
        site.wait_until_empty()

    def test_half_a_client_hello_is_not_waited_for(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        site = serve_tls(Echo(), handshake_timeout=0.5)
        stuck = []
        for index in range(50):
            sock = records(site, certificates.client())
            sock.sock.sendall(sock.take_client_hello()[: index * 4])  # from nothing to most of it
            stuck.append(sock)
        client = wss(site, tls_socket(site.port, certificates.client()))
        for sock in stuck:
            assert sock.sock.recv(1) == b""  # closed at once, not after a drain
        with gevent.Timeout(PATIENCE):
            while site.server.http_connections:
                gevent.sleep(0.005)
        for sock in stuck:
            sock.close()
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")

    def test_its_time_limit_is_one_for_all_its_bytes(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        def slowly(data: bytes) -> Iterable[bytes]:
            for piece in byte_by_byte(data):
                yield piece
                gevent.sleep(0.01)

        site = serve_tls(Recorder(), handshake_timeout=0.4)
        sock = records(site, certificates.client(), slowly)  # type: ignore[arg-type]  # any iterable will do
        with pytest.raises((ssl.SSLError, ConnectionError)):
            sock.handshake()
        sock.close()
        site.wait_until_empty()

    def test_it_is_not_counted_against_the_head(self, serve_tls: Serve, certificates: Certificates) -> None:
        site = serve_tls(Echo(), handshake_timeout=0.2)
        sock = tls_socket(site.port, certificates.client())
        gevent.sleep(0.6)  # the head may take its 10 seconds
        client = wss(site, sock)
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")


def assert_refused(site: Site, context: ssl.SSLContext) -> None:
    def try_a_request() -> None:
        # With TLS 1.3, a client learns only later whether the server accepts its certificate.
        with tls_socket(site.port, context) as sock:
            sock.sendall(upgrade_request("/service"))
            sock.recv(1)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        try_a_request()


class TestTheClientsCertificate:
    @both_versions
    def test_it_is_in_the_request_and_the_environ(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        service, application = Recorder(), Application()
        site = serve_tls(service, application=application, ssl_context=certificates.server(ssl.CERT_REQUIRED))
        sock = tls_socket(site.port, certificates.client(version, "Zoë, #1"))
        client = wss(site, sock, path=None)
        client.send(GET)
        client.read_head()
        client.read_body(5)
        client.send(upgrade_request("/service"))
        client.read_head()
        service.expect("connected")
        [connection] = service.connections
        certificate = connection.request.peer_certificate
        assert certificate
        assert (("commonName", "Zoë, #1"),) in certificate["subject"]
        [environ] = application.environs
        for each in environ, connection.request.environ:
            assert each["geventkws.peer_certificate"] == certificate
            assert each["SSL_CLIENT_VERIFY"] == "SUCCESS"
            subject = each["SSL_CLIENT_S_DN"].encode("latin-1").decode()
            assert subject.startswith("CN=Zoë\\, #1,OU=")
            assert "O=trustme" in each["SSL_CLIENT_I_DN"]
            assert each["SSL_CLIENT_M_SERIAL"] == certificate["serialNumber"]
            assert ssl.PEM_cert_to_DER_cert(each["SSL_CLIENT_CERT"])
            assert each["SSL_PROTOCOL"] == sock.version()

    @both_versions
    @pytest.mark.parametrize("verify", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
    def test_one_of_another_authority_is_refused(
        self,
        serve_tls: Serve,
        certificates: Certificates,
        version: ssl.TLSVersion,
        verify: ssl.VerifyMode,
        tmp_path: Any,
    ) -> None:
        service = Recorder()
        site = serve_tls(service, ssl_context=certificates.server(verify))
        context = certificates.client(version)
        Certificates(tmp_path).authority.issue_cert("mallory@example.org").configure_cert(context)
        assert_refused(site, context)
        service.expect_nothing_more()

    @both_versions
    def test_none_is_refused_where_one_is_required(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        service = Recorder()
        site = serve_tls(service, ssl_context=certificates.server(ssl.CERT_REQUIRED))
        assert_refused(site, certificates.client(version))
        service.expect_nothing_more()

    @pytest.mark.parametrize("name", [None, "Alice"])
    def test_an_optional_one_may_be_left_out(
        self, serve_tls: Serve, certificates: Certificates, name: str | None
    ) -> None:
        service = Recorder()
        site = serve_tls(service, ssl_context=certificates.server(ssl.CERT_OPTIONAL))
        wss(site, tls_socket(site.port, certificates.client(name=name)))
        service.expect("connected")
        request = service.connections[0].request
        assert (request.peer_certificate is not None) == (name is not None)
        assert request.environ["SSL_CLIENT_VERIFY"] == ("SUCCESS" if name else "NONE")


class TestRecords:
    @both_versions
    def test_may_be_cut_anywhere(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion, chunked: Feed
    ) -> None:
        site = serve_tls(Echo())
        sock = records(site, certificates.client(version), chunked)
        sock.handshake()
        client = wss(site, sock)
        client.send(masked(TEXT, "hello"))
        client.send(masked(BINARY, bytes(1000)) + masked(PING, "?"))
        # A ping may be answered before the messages ahead of it.
        expected = [Frame(TEXT, b"hello"), Frame(BINARY, bytes(1000)), Frame(PONG, b"?")]
        assert sorted([client.frame(), client.frame(), client.frame()]) == expected

    @both_versions
    @pytest.mark.parametrize(("count", "size"), [(500, 10), (60, 16_000), (3, 500_000)])
    def test_may_come_many_at_once(
        self,
        serve_tls: Serve,
        certificates: Certificates,
        version: ssl.TLSVersion,
        count: int,
        size: int,
    ) -> None:
        site = serve_tls(Echo())
        sock = records(site, certificates.client(version))
        sock.handshake()
        client = wss(site, sock)
        sock.holding = True
        messages = [bytes([index % 256]) * size for index in range(count)]
        for message in messages:
            client.send(masked(BINARY, message))
        sock.holding = False
        sender = gevent.spawn(sock.flush)
        for message in messages:
            assert client.frame() == Frame(BINARY, message)
        sender.get(timeout=PATIENCE)

    def test_a_request_in_one_flight_with_the_handshakes_end_is_served(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        site = serve_tls(Echo())
        sock = records(site, certificates.client(TLS_1_3))
        sock.sock.sendall(sock.take_client_hello())
        sock.holding = True
        sock.handshake()
        sock.sendall(upgrade_request("/service") + masked(TEXT, "early"))
        sock.sendall(masked(TEXT, "bird"))
        sock.holding = False
        sock.flush()
        client = wss(site, sock, path=None)
        assert client.read_head().startswith("HTTP/1.1 101 ")
        assert client.frame() == Frame(TEXT, b"early")
        assert client.frame() == Frame(TEXT, b"bird")

    def test_one_that_was_tampered_with_ends_the_connection(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        service = Recorder()
        site = serve_tls(service)
        sock = records(site, certificates.client())
        sock.handshake()
        client = wss(site, sock)
        client.send(masked(TEXT, "fine"))
        sock.holding = True
        client.send(masked(TEXT, "forged"))
        record = bytearray(sock.take())
        record[-1] ^= 1
        sock.sock.sendall(record)
        for call in [("connected",), ("received", "fine"), ("disconnected", 1006)]:
            service.expect(*call)
        client.close()
        site.wait_until_empty()


class TestKeyUpdates:
    """With another implementation, because Python cannot make OpenSSL send them."""

    def connect(self, site: Site, sock: socket.socket | None = None) -> tuple[RawClient, TLSConnection]:
        connection = TLSConnection(sock or connected_socket(site.port))
        connection.closeSocket = True
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        connection.handshakeClientCert(settings=settings)
        return wss(site, connection), connection

    def test_the_clients_change_nothing(self, serve_tls: Serve) -> None:
        client, connection = self.connect(serve_tls(Echo()))
        for index in range(20):
            for _ in connection.send_keyupdate_request(index % 2):
                pass
            client.send(masked(TEXT, str(index)))
            assert client.frame() == Frame(TEXT, str(index).encode())

    def test_a_client_that_asks_for_them_and_reads_nothing_is_not_answered_forever(
        self, serve: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls_records, "MAX_UNSENT", 20_000)
        service = Recorder()
        site = serve(service, certfile=certificates.bothfile, send_timeout=None)
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect((HOST, site.port))
        _, connection = self.connect(site, sock)
        service.expect("connected")
        with socket.socket(fileno=socket.dup(service.connections[0]._channel.transport.fileno())) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        with gevent.Timeout(100), suppress(OSError):
            while True:
                for _ in connection.send_keyupdate_request(KeyUpdateMessageType.update_requested):
                    pass
                gevent.sleep(0)
        service.expect("disconnected", 1006)
        site.wait_until_empty()


class TestTheEnd:
    @both_versions
    def test_ours_is_announced_by_close_notify(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        site = serve_tls(Recorder(), application=Application())
        client = wss(site, tls_socket(site.port, certificates.client(version)))
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        assert client.read_to_end() == b""  # a missing close_notify would raise
        http = wss(site, tls_socket(site.port, certificates.client(version)), path=None)
        http.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        http.read_head()
        assert http.read_to_end() == b"hello"

    @both_versions
    def test_the_peers_without_close_notify_is_1006(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        service = Recorder()
        site = serve_tls(service)
        sock = records(site, certificates.client(version))
        sock.handshake()
        client = wss(site, sock)
        client.send(masked(TEXT, "last"))
        client.close()
        for call in [("connected",), ("received", "last"), ("disconnected", 1006)]:
            service.expect(*call)
        site.wait_until_empty()

    @both_versions
    @pytest.mark.parametrize("fin", [False, True], ids=["no FIN", "FIN"])
    @pytest.mark.parametrize("last", [b"", masked(TEXT, "last")], ids=["alone", "behind a message"])
    def test_the_peers_close_notify_is_1006(
        self,
        serve_tls: Serve,
        certificates: Certificates,
        version: ssl.TLSVersion,
        fin: bool,
        last: bytes,
    ) -> None:
        service = Echo()
        site = serve_tls(service)
        sock = records(site, certificates.client(version))
        sock.handshake()
        client = wss(site, sock)
        sock.holding = True
        if last:
            client.send(last)
        sock.close_notify()
        sock.holding = False
        sock.flush()
        if fin:
            sock.sock.shutdown(socket.SHUT_WR)
        service.expect("connected")
        if last:
            service.expect("received", "last")
        service.expect("disconnected", 1006)
        client.close()
        site.wait_until_empty()

    def test_an_idle_https_connection_ends_with_the_peers_close_notify(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        site = serve_tls(Recorder(), application=Application())
        sock = records(site, certificates.client())
        sock.handshake()
        client = wss(site, sock, path=None)
        client.send(GET)
        client.read_head()
        client.read_body(5)
        sock.close_notify()
        site.wait_until_empty()

    def test_a_connection_reset_is_1006(self, serve_tls: Serve, certificates: Certificates) -> None:
        service = Recorder()
        site = serve_tls(service)
        sock = records(site, certificates.client())
        sock.handshake()
        wss(site, sock)
        RawClient(0, sock=sock.sock).reset()
        service.expect("connected")
        service.expect("disconnected", 1006)
        site.wait_until_empty()


class TestBackPressure:
    MESSAGE = bytes(range(256)) * 1024

    def slow_client(self, site: Site, context: ssl.SSLContext) -> RawClient:
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect((HOST, site.port))
        return wss(site, context.wrap_socket(sock, server_hostname=HOST))

    @both_versions
    def test_a_slow_reader_stops_the_sender_and_loses_nothing(
        self, serve_tls: Serve, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        count, sent = 64, []

        def flood(message: str, connection: WebSocketConnection) -> None:
            for index in range(count):
                assert connection.send(index.to_bytes(1, "big") + self.MESSAGE)
                sent.append(index)

        site = serve_tls(Recorder(received=flood), max_send_buffer=500_000)
        client = self.slow_client(site, certificates.client(version))
        client.send(masked(TEXT, "go"))
        with gevent.Timeout(PATIENCE):
            while not sent:
                gevent.sleep(0.005)
        stalled = -1
        while stalled != len(sent):
            stalled = len(sent)
            gevent.sleep(0.2)
        # The limit, the kernel's buffers and one record: far less than the 16 MiB to be sent.
        assert len(sent) < count // 2
        for index in range(count):
            assert client.frame() == Frame(BINARY, index.to_bytes(1, "big") + self.MESSAGE)
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")

    def test_large_messages_pass_both_ways_at_once(
        self, serve_tls: Serve, certificates: Certificates
    ) -> None:
        site = serve_tls(Echo(), max_send_buffer=100_000, max_inbox_size=100_000)
        client = wss(site, tls_socket(site.port, certificates.client()))
        sender = gevent.spawn(client.send, masked(BINARY, self.MESSAGE) * 40)
        for _ in range(40):
            assert client.frame() == Frame(BINARY, self.MESSAGE)
        sender.get(timeout=PATIENCE)

    def test_a_peer_that_takes_nothing_is_dropped(self, serve_tls: Serve, certificates: Certificates) -> None:
        ended = Signal()

        def flood(message: str, connection: WebSocketConnection) -> None:
            while connection.send(self.MESSAGE):
                pass
            ended.set()

        service = Recorder(received=flood)
        site = serve_tls(service, send_timeout=0.3)
        client = self.slow_client(site, certificates.client())
        client.send(masked(TEXT, "go"))
        assert ended.wait(PATIENCE)
        for call in [("connected",), ("received", "go"), ("disconnected", 1006)]:
            service.expect(*call)
        site.wait_until_empty()
