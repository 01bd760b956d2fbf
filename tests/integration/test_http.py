"""HTTP over real sockets: requests, and raw bytes that no client would send."""

from __future__ import annotations

import hashlib
import io
import wsgiref.validate
from asyncio import CancelledError
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event

from geventkws import HandshakeError
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import PING, PONG, TEXT, Frame, RawClient, masked, upgrade_request
from tests.waiting import PATIENCE

PLAIN = [("Content-Type", "text/plain")]
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST_GET = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"Hello " + environ["PATH_INFO"].encode()]


def echo(environ, start_response):
    start_response("200 OK", PLAIN)
    return [environ["wsgi.input"].read()]


def url(site: Site, path: str = "/") -> str:
    return f"http://127.0.0.1:{site.port}{path}"


def exchange(site: Site, data: bytes) -> bytes:
    """Send ``data``, and return everything that arrives until the server closes."""
    with RawClient(site.port) as client:
        client.send(data)
        return client.read_to_end()


def post(body: bytes, *fields: str) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Body:
    """An iterable that counts its ``close`` calls, and may fail in the middle."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed += 1


def answer_with(body, status="200 OK", headers=PLAIN):
    def application(environ, start_response):
        start_response(status, headers)
        return body

    return application


class TestConnections:
    def test_a_connection_persists(self, serve: Serve) -> None:
        site = serve(application=hello)
        with requests.Session() as session:
            answers = [session.get(url(site, f"/{n}"), timeout=PATIENCE) for n in range(3)]
            assert [answer.text for answer in answers] == ["Hello /0", "Hello /1", "Hello /2"]
            assert site.server.http_connections == 1

    def test_pipelined_requests_are_answered_in_order(self, serve: Serve) -> None:
        data = exchange(serve(application=echo), post(b"one") + post(b"two") + LAST_GET)
        assert data.count(b"HTTP/1.1 200 OK") == 3
        assert data.index(b"one") < data.index(b"two")
        assert data.count(b"Connection: close") == 1

    def test_requests_before_a_bad_one_are_answered(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), GET + GET + b"BAD\r\n\r\n" + GET)
        assert data.count(b"200 OK") == 2
        assert data.count(b"400 Bad Request") == 1

    def test_bytes_after_a_closing_request_are_never_a_request(self, serve: Serve) -> None:
        assert exchange(serve(application=hello), LAST_GET + GET).count(b"HTTP/1.1") == 1

    def test_http_1_0_closes_unless_asked_to_keep_alive(self, serve: Serve) -> None:
        site = serve(application=hello)
        data = exchange(site, b"GET /a HTTP/1.0\r\n\r\n")
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert data.endswith(b"Hello /a")
        kept = exchange(site, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
        assert kept.count(b"200 OK") == 2
        assert b"Connection: keep-alive" in kept

    def test_a_refusal_outlives_the_bytes_that_were_not_read(self, serve: Serve) -> None:
        # If the socket were closed at once, the unread bytes would cause a reset, and the client might not
        # see the 400.
        data = exchange(serve(application=hello), b"BAD\r\n\r\n" + b"x" * 500_000)
        assert data.startswith(b"HTTP/1.1 400 Bad Request")
        assert data.endswith(b"The request line is not 'method target version'\n")

    def test_the_peers_end_closes_the_connection_in_each_state(self, serve: Serve) -> None:
        site = serve(application=echo)
        for sent in (b"", b"GET /", GET, post(b"abc")[:-1], post(b"abc") + b"G"):
            with RawClient(site.port) as client:
                client.send(sent)
                client.half_close()
                client.read_to_end()
        site.wait_until_empty()

    @pytest.mark.parametrize("sent", [b"", b"GET /", GET, post(b"abc")[:-1], post(b"abc") + b"G"])
    def test_a_reset_closes_the_connection_in_each_state_without_an_error(
        self, serve: Serve, sent: bytes
    ) -> None:
        site = serve(application=echo)
        client = RawClient(site.port)
        client.send(sent)
        gevent.sleep(0.02)
        client.reset()
        site.wait_until_empty()

    def test_a_killed_request_closes_its_connection_and_its_iterable(self, serve: Serve) -> None:
        closed = []
        greenlets: list[Any] = []

        def application(environ, start_response):
            greenlets.append(gevent.getcurrent())
            start_response("200 OK", PLAIN)
            try:
                yield b"a"
                gevent.sleep(PATIENCE)
            finally:
                closed.append(True)

        site = serve(application=application)
        with RawClient(site.port) as client:
            client.send(GET)
            client.read_head()
            gevent.kill(greenlets[0])
            assert client.read_to_end() == b"1\r\na\r\n"
        assert closed == [True]
        site.wait_until_empty()


class TestTimes:
    def test_a_slow_head_is_answered_with_408(self, serve: Serve) -> None:
        site = serve(application=hello, head_timeout=0.1)
        assert exchange(site, b"GET / HTTP/1.1\r\n").startswith(b"HTTP/1.1 408 Request Timeout")

    def test_a_head_that_trickles_in_is_not_given_more_time(self, serve: Serve) -> None:
        site = serve(application=hello, head_timeout=0.2)
        with RawClient(site.port) as client, gevent.Timeout(PATIENCE):
            trickle = gevent.spawn(self._trickle, client)
            assert client.read_to_end().startswith(b"HTTP/1.1 408")
            trickle.kill()

    @staticmethod
    def _trickle(client: RawClient) -> None:
        for _ in range(200):
            client.send(b"G")
            gevent.sleep(0.05)

    def test_the_second_head_has_a_time_limit_too(self, serve: Serve) -> None:
        site = serve(application=hello, head_timeout=0.1)
        assert b"HTTP/1.1 408" in exchange(site, GET + b"GET /")

    def test_the_time_limit_of_a_later_head_counts_from_its_first_byte(self, serve: Serve) -> None:
        site = serve(application=hello, head_timeout=0.1, keepalive_timeout=PATIENCE)
        with RawClient(site.port) as client:
            client.send(GET)
            client.read_head()
            gevent.sleep(0.2)
            client.send(b"GET /")
            assert b"HTTP/1.1 408" in client.read_to_end()

    def test_a_silent_connection_is_closed_without_an_answer(self, serve: Serve) -> None:
        assert exchange(serve(application=hello, head_timeout=0.1), b"") == b""

    def test_an_idle_connection_is_closed_without_an_answer(self, serve: Serve) -> None:
        assert exchange(serve(application=hello, keepalive_timeout=0.1), GET).endswith(b"Hello /")

    def test_a_slow_body_is_answered_with_408(self, serve: Serve) -> None:
        site = serve(application=echo, body_timeout=0.1)
        assert exchange(site, post(b"abc")[:-1]).startswith(b"HTTP/1.1 408 Request Timeout")

    def test_a_client_that_reads_nothing_is_dropped(self, serve: Serve) -> None:
        body = Body(*[b"x" * 100_000] * 1000)
        site = serve(application=answer_with(body), body_timeout=0.2)
        with RawClient(site.port, receive_buffer=4096) as client:
            client.send(GET)
            client.read_head()
            site.wait_until_empty()
        assert body.closed == 1


class TestLimits:
    def test_a_large_head_is_answered_with_431(self, serve: Serve) -> None:
        site = serve(application=hello, max_head_size=1000)
        data = exchange(site, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert data.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")

    def test_a_large_body_is_refused_before_it_is_read(self, serve: Serve) -> None:
        data = exchange(serve(application=echo, max_body_size=2), post(b"abc", "Expect: 100-continue")[:-3])
        assert data.startswith(b"HTTP/1.1 413 ")

    def test_a_large_chunked_body_is_refused_where_it_passes_the_limit(self, serve: Serve) -> None:
        site = serve(application=echo, max_body_size=1000)
        answer = requests.post(url(site), data=iter([b"a" * 600] * 2), timeout=PATIENCE)
        assert answer.status_code == 413

    def test_a_body_nobody_reads_is_discarded(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), post(b"GET /smuggled HTTP/1.1\r\n\r\n") + LAST_GET)
        assert data.count(b"HTTP/1.1 200 OK") == 2
        assert b"smuggled" not in data

    def test_a_large_body_nobody_reads_closes_the_connection(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), post(b"x" * 400_000))
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in data

    def test_a_body_that_still_waits_for_continue_closes_the_connection(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), post(b"abc", "Expect: 100-continue")[:-3])
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in data


class TestBodies:
    def test_continue_is_sent_when_the_application_reads(self, serve: Serve) -> None:
        with RawClient(serve(application=echo).port) as client:
            client.send(post(b"abc", "Expect: 100-continue", "Connection: close")[:-3])
            assert client.read_head() == "HTTP/1.1 100 Continue"
            client.send(b"abc")
            assert client.read_to_end().endswith(b"\r\n\r\nabc")

    def test_bodies_are_streamed_both_ways(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", PLAIN)
            return iter(lambda: environ["wsgi.input"].read1(1000), b"")

        sent = bytes(range(256)) * 8
        for body in (sent, iter([sent[:1000], sent[1000:]])):
            answer = requests.post(url(serve(application=application)), data=body, timeout=PATIENCE)
            assert answer.headers["Transfer-Encoding"] == "chunked"
            assert answer.content == sent

    def test_each_part_of_a_stream_arrives_when_it_is_yielded(self, serve: Serve) -> None:
        go_on = Event()

        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            yield b"data: 1\n\n"
            assert go_on.wait(PATIENCE)
            yield b"data: 2\n\n"

        with requests.get(url(serve(application=application)), stream=True, timeout=PATIENCE) as answer:
            lines = answer.iter_lines()
            assert next(lines) == b"data: 1"
            go_on.set()
            assert [line for line in lines if line] == [b"data: 2"]

    def test_a_large_upload_and_download_arrive_whole(self, serve: Serve) -> None:
        def application(environ, start_response):
            digest = hashlib.sha256()
            while block := environ["wsgi.input"].read(100_000):
                digest.update(block)
            start_response("200 OK", [("X-Digest", digest.hexdigest())])
            return environ["wsgi.file_wrapper"](io.BytesIO(sent))

        sent = bytes(range(256)) * 20_000
        answer = requests.post(url(serve(application=application)), data=io.BytesIO(sent), timeout=PATIENCE)
        assert answer.headers["X-Digest"] == hashlib.sha256(sent).hexdigest()
        assert answer.content == sent

    def test_head_has_no_body_and_the_connection_goes_on(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), GET.replace(b"GET", b"HEAD") + LAST_GET)
        head, _, rest = data.partition(b"\r\n\r\n")
        assert b"Content-Length: 7" in head
        assert rest.startswith(b"HTTP/1.1 200 OK")

    def test_the_validator_of_wsgiref_finds_nothing(self, serve: Serve) -> None:
        def application(environ, start_response):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
            start_response("200 OK", [*PLAIN, ("Content-Length", str(len(body)))])
            return [body]

        site = serve(application=wsgiref.validate.validator(application))
        assert requests.get(url(site, "/a%20b?c=d"), timeout=PATIENCE).content == b""
        assert requests.post(url(site), data=b"abc", timeout=PATIENCE).content == b"abc"
        assert requests.head(url(site), timeout=PATIENCE).status_code == 200


class TestApplicationsThatFail:
    @pytest.mark.logs_errors
    def test_an_error_before_the_head_is_a_500_without_internals(self, serve: Serve, caplog) -> None:
        def application(environ, start_response):
            start_response("200 OK", PLAIN)
            raise KeyError("secret")

        data = exchange(serve(application=application), GET + GET)
        assert data.count(b"HTTP/1.1 ") == 1
        assert data.startswith(b"HTTP/1.1 500 Internal Server Error")
        assert b"secret" not in data
        assert b"Connection: close" in data
        [record] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert record.name == "geventkws.server"
        assert "The application failed at GET '/'" in caplog.text
        assert "KeyError: 'secret'" in caplog.text

    @pytest.mark.logs_errors
    def test_an_error_of_the_iterable_before_the_head_is_a_500(self, serve: Serve) -> None:
        body = Body(b"", ValueError("x"))
        assert exchange(serve(application=answer_with(body)), GET).startswith(b"HTTP/1.1 500")
        assert body.closed == 1

    @pytest.mark.logs_errors
    def test_an_error_after_the_head_cuts_the_response_off(self, serve: Serve) -> None:
        body = Body(b"abc", ValueError("x"))
        answer = requests.get(url(serve(application=answer_with(body))), stream=True, timeout=PATIENCE)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018
        assert body.closed == 1

    @pytest.mark.logs_errors
    def test_less_than_the_content_length_cuts_the_response_off(self, serve: Serve) -> None:
        site = serve(application=answer_with([b"abc"], headers=[("Content-Length", "5")]))
        assert exchange(site, GET + GET).endswith(b"\r\n\r\nabc")

    @pytest.mark.logs_errors
    def test_a_timeout_that_escapes_is_a_500(self, serve: Serve) -> None:
        def application(environ, start_response):
            with gevent.Timeout(0.01):
                gevent.sleep(PATIENCE)

        assert exchange(serve(application=application), GET).startswith(b"HTTP/1.1 500")

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("error", [CancelledError, GeneratorExit, BaseException])
    def test_so_is_whatever_else_is_raised(self, serve: Serve, error: type[BaseException]) -> None:
        def application(environ, start_response):
            raise error

        assert exchange(serve(application=application), GET).startswith(b"HTTP/1.1 500")

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("headers", [[("X", "a\r\nY: b")], [("X\r\nY", "b")], [("X", 1)]])
    def test_what_is_not_a_header_never_reaches_the_wire(self, serve: Serve, headers) -> None:
        data = exchange(serve(application=answer_with([b"a"], headers=headers)), GET)
        assert data.startswith(b"HTTP/1.1 500")
        assert b"Y" not in data

    @pytest.mark.parametrize("status", ["200 OK", "304 Not Modified"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_iterable_is_closed_exactly_once(self, serve: Serve, status: str, method: str) -> None:
        body = Body(b"a", b"b")
        site = serve(application=answer_with(body, status))
        requests.request(method, url(site), timeout=PATIENCE)
        assert body.closed == 1

    @pytest.mark.logs_errors
    def test_an_error_in_close_is_logged(self, serve: Serve, caplog) -> None:
        class Broken(Body):
            def close(self) -> None:
                raise ValueError("in close")

        data = exchange(serve(application=answer_with(Broken(b"a"))), GET + LAST_GET)
        assert data.count(b"HTTP/1.1 200 OK") == 2
        assert b"1\r\na\r\n0\r\n\r\n" in data
        assert caplog.text.count("ValueError: in close") == 2

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    @pytest.mark.parametrize("length", [[], [("Content-Length", "6400000")]])
    def test_an_error_in_close_takes_nothing_from_a_complete_response(
        self, serve: Serve, caplog, version: bytes, length: list[tuple[str, str]]
    ) -> None:
        class Broken(Body):
            def close(self) -> None:
                raise ValueError("in close")

        body = Broken(*[b"x" * 64_000] * 100)
        site = serve(application=answer_with(body, headers=PLAIN + length))
        data = exchange(site, LAST_GET.replace(b"1.1", version))
        assert data.count(b"x" * 64_000) == 100
        assert "failed after its answer to GET '/last'" in caplog.text

    @pytest.mark.logs_errors
    def test_an_error_after_the_last_byte_of_its_length_takes_nothing_from_a_response(
        self, serve: Serve
    ) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "6400000")])
            yield b"x" * 6_400_000
            raise ValueError("behind it")

        with RawClient(serve(application=application).port, receive_buffer=4096) as client:
            for _ in range(2):
                client.send(GET)
                client.read_head()
                assert client.read_body(6_400_000) == b"x" * 6_400_000

    @pytest.mark.parametrize("rest", [b"zz\r\n", b"3\r\nabcd"])
    def test_a_malformed_body_is_a_400_and_no_error_of_ours(self, serve: Serve, rest: bytes) -> None:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert exchange(serve(application=echo), head + rest).startswith(b"HTTP/1.1 400")

    def test_a_malformed_body_the_application_got_over_closes_the_connection(self, serve: Serve) -> None:
        def application(environ, start_response):
            with pytest.raises(OSError, match="malformed size"):
                environ["wsgi.input"].read()
            start_response("200 OK", PLAIN)
            return [b"never mind"]

        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = exchange(serve(application=application, spool_chunked=False), head + b"zz\r\n" + GET)
        assert data.count(b"HTTP/1.1 200 OK") == 1
        assert b"Connection: close" in data

    def test_a_client_that_leaves_is_not_an_error(self, serve: Serve, caplog) -> None:
        body = Body(*[b"x" * 100_000] * 1000)
        site = serve(application=answer_with(body))
        client = RawClient(site.port)
        client.send(GET)
        client.read_head()
        client.reset()
        site.wait_until_empty()
        assert body.closed == 1
        assert not [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]


class Keeping:
    """An application that keeps every ``write``, and answers in two parts, the second when allowed."""

    def __init__(self) -> None:
        self.writes: list[Any] = []
        self.go_on = Event()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/fails":
            self.writes.append(start_response("200 OK", PLAIN))
            raise ValueError("for the test")
        if environ["PATH_INFO"] == "/fails-early":
            self.writes.append(lambda data: start_response("200 OK", PLAIN)(data))
            raise ValueError("for the test")
        if environ["PATH_INFO"] == "/accepts":
            environ["geventkws.upgrade"](Recorder())
            self.writes.append(start_response("200 OK", PLAIN))
            self.write_late()
            return []
        self.writes.append(start_response("200 OK", PLAIN))
        return self.parts(environ["PATH_INFO"])

    def parts(self, path: str) -> Iterator[bytes]:
        yield b"first"
        if path == "/waits":
            assert self.go_on.wait(PATIENCE)
        yield b"second"

    def write_late(self) -> None:
        """Use the first ``write``, as an application that has left something for later might."""
        for data in (b"late", b""):
            with pytest.raises(
                RuntimeError, match=r"was called (after its response had ended|a second time)"
            ):
                self.writes[0](data)


WHOLE = b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


class TestWritesThatAreLate:
    def get(self, client: RawClient, path: str) -> None:
        client.send(GET.replace(b" / ", b" %b " % path.encode()))

    def test_between_two_responses(self, serve: Serve) -> None:
        application = Keeping()
        with RawClient(serve(application=application).port) as client:
            for _ in range(2):
                self.get(client, "/")
                client.read_head()
                assert client.read_body(len(WHOLE)) == WHOLE
                application.write_late()
            client.half_close()
            assert client.read_to_end() == b""

    def test_within_the_next_response(self, serve: Serve) -> None:
        application = Keeping()
        with RawClient(serve(application=application).port) as client:
            self.get(client, "/")
            client.read_head()
            assert client.read_body(len(WHOLE)) == WHOLE
            self.get(client, "/waits")
            client.read_head()
            assert client.peek(10) == WHOLE[:10]
            application.write_late()
            application.go_on.set()
            assert client.read_body(len(WHOLE)) == WHOLE

    def test_when_the_connection_is_closed(self, serve: Serve) -> None:
        application = Keeping()
        site = serve(application=application)
        exchange(site, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        site.wait_until_empty()
        application.write_late()

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("path", ["/fails", "/fails-early"])
    def test_when_the_server_has_answered_in_its_place(self, serve: Serve, path: str) -> None:
        application = Keeping()
        with RawClient(serve(application=application).port) as client:
            self.get(client, path)
            assert client.read_head().startswith("HTTP/1.1 500")
            application.write_late()
            assert client.read_to_end() == b"The server failed to answer this request\n"

    def test_when_the_connection_has_become_a_websocket(self, serve: Serve) -> None:
        application = Keeping()
        site = serve(application=application)
        client = site.connect("/accepts")
        assert client.head.startswith("HTTP/1.1 101")
        client.send(masked(PING, b"still a WebSocket"))
        assert client.frame() == Frame(PONG, b"still a WebSocket")
        application.write_late()


class TestRequestsTheServerAnswersItself:
    def test_without_an_application_there_is_nothing(self, serve: Serve) -> None:
        assert requests.get(url(serve()), timeout=PATIENCE).status_code == 404

    def test_options_asterisk_is_about_the_server(self, serve: Serve) -> None:
        data = exchange(
            serve(application=hello), b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert b"Allow: GET, HEAD" in data

    def test_a_tls_client_is_told_at_once(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert data.startswith(b"HTTP/1.1 400")


class TestUpgrades:
    def test_a_refused_upgrade_closes_and_what_follows_it_is_not_a_request(self, serve: Serve) -> None:
        site = serve(application=hello, application_upgrades=False)
        data = exchange(site, upgrade_request("/nowhere") + GET)
        assert data.count(b"HTTP/1.1 ") == 1
        assert data.startswith(b"HTTP/1.1 404 Not Found")
        assert data.endswith(b"No service has been registered for the path /nowhere\n")

    def test_without_an_application_an_upgrade_no_service_claims_gets_404(self, serve: Serve) -> None:
        data = exchange(serve(), upgrade_request("/nowhere"))
        assert data.startswith(b"HTTP/1.1 404 Not Found")
        assert data.endswith(b"No service has been registered for the path /nowhere\n")

    def test_an_upgrade_no_service_claims_goes_to_the_application(self, serve: Serve) -> None:
        data = exchange(serve(application=hello), upgrade_request("/app") + GET)
        assert data.count(b"HTTP/1.1 ") == 1
        assert data.endswith(b"Hello /app")
        assert b"Connection: close" in data

    def test_the_application_may_accept_an_upgrade(self, serve: Serve) -> None:
        service = Recorder()

        def application(environ, start_response):
            environ["geventkws.upgrade"](service)
            return []

        site = serve(application=application)
        with RawClient(site.port, "/app", behind=masked(TEXT, "early")) as client:
            assert client.head.startswith("HTTP/1.1 101 Switching Protocols")
            service.expect("connected")
            service.expect("received", "early")

    @pytest.mark.logs_errors
    def test_an_application_that_fails_after_an_upgrade_does_not_harm_it(self, serve: Serve) -> None:
        service = Recorder()

        def application(environ, start_response):
            environ["geventkws.upgrade"](service)
            raise ValueError("too late")

        site = serve(application=application)
        with RawClient(site.port, "/app") as client:
            service.expect("connected")
            client.send(masked(TEXT, "still here"))
            service.expect("received", "still here")

    def test_the_application_may_refuse_an_upgrade(self, serve: Serve) -> None:
        def application(environ, start_response):
            raise HandshakeError(401, "Who are you?", {"WWW-Authenticate": "Basic"})

        data = exchange(serve(application=application), upgrade_request("/app"))
        assert data.startswith(b"HTTP/1.1 401 Unauthorized")
        assert b"WWW-Authenticate: Basic" in data

    def test_another_upgrade_is_answered_as_http(self, serve: Serve) -> None:
        data = exchange(serve(application=echo), post(b"abc", "Connection: Upgrade", "Upgrade: h2c") + GET)
        assert data.count(b"HTTP/1.1 ") == 1
        assert data.endswith(b"\r\n\r\nabc")

    def test_an_upgrade_may_follow_requests_on_its_connection(self, serve: Serve) -> None:
        service = Recorder()
        with RawClient(serve(service, application=hello).port) as client:
            client.send(GET + upgrade_request("/service") + masked(TEXT, "early"))
            assert client.read_head().startswith("HTTP/1.1 200 OK")
            assert client.read_head().endswith("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            service.expect("connected")
            service.expect("received", "early")
