"""Request bodies as applications get them: chunked ones, and ones that do not arrive as they should."""

from __future__ import annotations

import json
import logging
import resource
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from geventkws.http.spool import SPOOL_MEMORY
from tests.integration.conftest import Serve, Site
from tests.integration.framework_apps import FRAMEWORKS
from tests.raw import RawClient

KEYS = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "wsgi.input_terminated")
FORM = "Content-Type: multipart/form-data; boundary=b"
FORM_START = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAnn'


class Telling:
    """An application that reads the body, reports it, and keeps the input."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []

    def __call__(self, environ, start_response):
        self.inputs.append(environ["wsgi.input"])
        length = environ.get("CONTENT_LENGTH")
        size = len(environ["wsgi.input"].read(*([int(length)] if length else [])))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps([size, *(environ.get(key) for key in KEYS)]).encode()]


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def head(*lines: str, path: str = "/") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *lines, "", ""]).encode()


CHUNKED = head("Transfer-Encoding: chunked")


def told(client: RawClient, data: bytes) -> Any:
    """Send a request, and return the application's report, or the status if it is not called."""
    client.send(data)
    answer = client.read_head()
    length = next(line for line in answer.split("\r\n") if line.startswith("Content-Length: "))
    body = client.read_body(int(length.partition(": ")[2]))
    return json.loads(body) if answer.startswith("HTTP/1.1 200 ") else int(answer.split(" ")[1])


@pytest.fixture
def telling() -> Telling:
    return Telling()


@pytest.fixture
def client(serve: Serve, telling: Telling) -> Iterator[RawClient]:
    with RawClient(serve(application=telling, max_spool_size=1_000_000).port) as client:
        yield client


class TestChunkedBodies:
    @pytest.mark.parametrize("sizes", [[], [1], [5, 10], [100_000] * 3, [SPOOL_MEMORY], [1_000_000]])
    def test_one_has_a_length_and_nothing_says_that_it_had_none(
        self, client: RawClient, sizes: list[int]
    ) -> None:
        data = CHUNKED + chunked(*(b"x" * size for size in sizes))
        for _ in range(2):
            assert told(client, data) == [sum(sizes), str(sum(sizes)), None, None]

    @pytest.mark.parametrize(
        ("size", "kind"), [(SPOOL_MEMORY, "BytesIO"), (SPOOL_MEMORY + 1, "BufferedRandom")]
    )
    def test_a_long_one_is_in_a_file_and_either_is_closed_after_its_request(
        self, client: RawClient, telling: Telling, size: int, kind: str
    ) -> None:
        assert told(client, CHUNKED + chunked(b"x" * size))[0] == size
        told(client, head("Content-Length: 0"))
        file = telling.inputs[0]
        assert type(file).__name__ == kind
        assert file.closed

    def test_a_client_that_waits_for_continue_gets_it(self, client: RawClient) -> None:
        client.send(head("Transfer-Encoding: chunked", "Expect: 100-continue"))
        assert client.read_head() == "HTTP/1.1 100 Continue"
        assert told(client, chunked(b"abc"))[:2] == [3, "3"]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (chunked(b"x" * 500_000, b"x" * 500_001), 413),
            (chunked(b"x" * 2_000_000), 413),
            (b"zz\r\n", 400),
            (b"3\r\nabcd\r\n", 400),
        ],
    )
    def test_the_application_sees_none_that_is_too_long_or_malformed(
        self, client: RawClient, telling: Telling, body: bytes, status: int
    ) -> None:
        assert told(client, CHUNKED + body) == status
        assert client.read_to_end() == b""
        assert not telling.inputs

    def test_the_smaller_limit_counts(self, serve: Serve, telling: Telling) -> None:
        site = serve(application=telling, max_body_size=10, max_spool_size=20)
        for size, answer in ((10, [10, "10", None, None]), (11, 413)):
            with RawClient(site.port) as client:
                assert told(client, CHUNKED + chunked(b"x" * size)) == answer

    def test_one_that_is_streamed_ends_where_reading_ends(self, serve: Serve, telling: Telling) -> None:
        site = serve(application=telling, spool_chunked=False, max_spool_size=10)
        with RawClient(site.port) as client:
            assert told(client, CHUNKED + chunked(b"x" * 100)) == [100, None, None, True]
            assert told(client, head("Content-Length: 3") + b"abc") == [3, "3", None, None]

    def test_other_bodies_are_left_alone(self, client: RawClient) -> None:
        assert told(client, head("Content-Length: 3") + b"abc") == [3, "3", None, None]
        assert told(client, head()) == [0, None, None, None]


BROKEN = {
    "chunked, malformed": (["Transfer-Encoding: chunked"], b"zz\r\n", 400),
    "chunked, cut off": (["Transfer-Encoding: chunked"], b"ff\r\n" + FORM_START, 400),
    "chunked, late": (["Transfer-Encoding: chunked"], b"ff\r\n" + FORM_START, 408),
    "chunked, too large": (["Transfer-Encoding: chunked"], chunked(FORM_START * 100), 413),
    "of a length, cut off": (["Content-Length: 255"], FORM_START, 400),
    "of a length, late": (["Content-Length: 255"], FORM_START, 408),
    "of a length, too large": (["Content-Length: 2550"], FORM_START, 413),
}


@pytest.fixture(params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, serve: Serve) -> Site:
    """A site with a form, made with a framework; bodies are limited to 1000 bytes and a short time."""
    pytest.importorskip(request.param)
    application = FRAMEWORKS[request.param]("", lambda: None)
    return serve(application=application, max_body_size=1000, body_timeout=0.2)


@pytest.mark.parametrize("case", BROKEN)
def test_a_body_that_does_not_arrive_well_gets_the_status_that_says_why_and_no_traceback(
    site: Site, case: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, body, status = BROKEN[case]
    with RawClient(site.port) as client:
        client.send(head(*lines, FORM, path="/form") + body)
        if status == 400:
            client.half_close()
        assert client.read_head().startswith(f"HTTP/1.1 {status} ")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert capsys.readouterr().err == ""


def test_what_an_application_itself_writes_of_it_is_written(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    def application(environ, start_response):
        errors = environ["wsgi.errors"]
        errors.writelines(["before\n"])
        try:
            environ["wsgi.input"].read()
        except OSError:
            errors.write("a broken upload\n")
            errors.write(traceback.format_exc())
            errors.flush()
        start_response("200 OK", [])
        return [b"all the same"]

    with RawClient(serve(application=application).port) as client:
        client.send(head("Content-Length: 5") + b"ab")
        client.half_close()
        assert "200 OK" in client.read_head()
    assert capsys.readouterr().err == "before\na broken upload\n"


def test_the_protection_of_django_against_forgery_does_not_hide_a_broken_body(serve: Serve) -> None:
    pytest.importorskip("django")
    from django.middleware.csrf import CsrfViewMiddleware
    from django.test.utils import override_settings

    application: Any = FRAMEWORKS["django"]("", lambda: None)
    middleware = f"{CsrfViewMiddleware.__module__}.{CsrfViewMiddleware.__name__}"
    with override_settings(MIDDLEWARE=[middleware]):
        application.load_middleware()
        site = serve(application=application)
        for length, status in ((len(FORM_START), 403), (255, 400)):
            with RawClient(site.port) as client:
                lines = (f"Content-Length: {length}", FORM, f"Cookie: csrftoken={'x' * 32}")
                client.send(head(*lines, path="/form") + FORM_START)
                client.half_close()
                assert client.read_head().startswith(f"HTTP/1.1 {status} ")


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("limit", "least"),
    [(resource.RLIMIT_NOFILE, 3), (resource.RLIMIT_FSIZE, SPOOL_MEMORY)],
    ids=["no descriptor left", "no room in the file"],
)
def test_one_that_cannot_be_stored_is_a_503_and_a_line_in_the_log(
    client: RawClient, telling: Telling, limit: int, least: int, caplog: pytest.LogCaptureFixture
) -> None:
    told(client, head())  # accepted
    telling.inputs.clear()
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (least, hard))
    try:
        answer = told(client, CHUNKED + chunked(b"x" * 500_000))
    finally:
        resource.setrlimit(limit, (soft, hard))
    assert answer == 503
    assert not telling.inputs
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage().startswith("A chunked request body cannot be stored: [Errno ")
    assert record.exc_info is None
