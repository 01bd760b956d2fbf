"""Frameworks, used as their users would, through a real client; and large bodies in little memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest
import requests
from gevent.event import Event

from tests.integration.conftest import Echo, Serve
from tests.integration.framework_apps import EVENTS, FILE_SIZE, FRAMEWORKS, plain
from tests.programs import Program
from tests.raw import TEXT, Frame, RawClient, masked
from tests.waiting import PATIENCE

MIB = 1024 * 1024
UPLOAD = 200 * MIB
DOWNLOAD = 1024 * MIB
FILE = 256 * MIB
SPARE = 24 * MIB
"""How much more memory the server may use than before, whatever the size of a body."""


class Site(NamedTuple):
    """A framework's site, and what lets its stream continue."""

    url: str
    go_on: Event


def site_of(framework: Callable[..., Any], serve: Serve, path: Path) -> Site:
    go_on = Event()
    site = serve(application=framework(str(path), lambda: go_on.wait(PATIENCE)))
    return Site(f"http://127.0.0.1:{site.port}", go_on)


@pytest.fixture(params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Site:
    pytest.importorskip(request.param)
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(100)) * (FILE_SIZE // 100))
    return site_of(FRAMEWORKS[request.param], serve, path)


class TestEachFramework:
    def test_path_query_and_peer_arrive(self, site: Site) -> None:
        answer = requests.get(f"{site.url}/hello/J%C3%BCrgen?greeting=gr%C3%BC%C3%9Fe", timeout=PATIENCE)
        assert answer.content.decode() == "Hello Jürgen, grüße, 127.0.0.1"

    def test_a_form_with_a_file_is_taken_and_a_cookie_set(self, site: Site) -> None:
        answer = requests.post(
            f"{site.url}/form", data={"name": "Ann"}, files={"file": b"x" * 200_000}, timeout=PATIENCE
        )
        assert answer.json() == {"name": "Ann", "size": 200_000}
        assert answer.cookies["seen"] == "yes"

    def test_a_file_arrives_whole(self, site: Site) -> None:
        answer = requests.get(f"{site.url}/file", timeout=PATIENCE)
        assert answer.headers["Content-Length"] == str(FILE_SIZE)
        assert answer.content == bytes(range(100)) * (FILE_SIZE // 100)

    def test_each_event_of_a_stream_arrives_when_it_is_yielded(self, site: Site) -> None:
        check_stream(site)

    def test_a_form_that_comes_in_chunks_is_taken(self, site: Site) -> None:
        answer = requests.post(
            f"{site.url}/form",
            data=iter(Upload(2 * MIB, name="Ann")),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
            timeout=PATIENCE,
        )
        assert answer.json() == {"name": "Ann", "size": 2 * MIB}

    @pytest.mark.logs_errors
    def test_an_error_is_a_500_without_internals(self, site: Site) -> None:
        answer = requests.get(f"{site.url}/fails", timeout=PATIENCE)
        assert answer.status_code == 500
        assert "secret" not in answer.text


def test_each_event_of_a_plain_generator_arrives_when_it_is_yielded(serve: Serve, tmp_path: Path) -> None:
    check_stream(site_of(plain, serve, tmp_path))


def test_a_flask_view_decides_on_an_upgrade(serve: Serve) -> None:
    from flask import Flask, request

    app, echo = Flask("rooms"), Echo()

    @app.route("/rooms/<name>", websocket=True)
    def room(name: str) -> Any:
        if name != "known":
            return "no such room", 404
        request.environ["geventkws.upgrade"](echo)
        return ""

    site = serve(application=app)
    client = site.connect("/rooms/known")
    client.send(masked(TEXT, "hello"))
    assert client.frame() == Frame(TEXT, b"hello")
    assert site.connect("/rooms/other").head.startswith("HTTP/1.1 404 ")


def check_stream(site: Site) -> None:
    with requests.get(f"{site.url}/events", stream=True, timeout=PATIENCE) as answer:
        chunks = answer.iter_content(None)
        assert next(chunks) == EVENTS[0]
        site.go_on.set()
        assert b"".join(chunks) == EVENTS[1]


class Upload:
    """A multipart form with a name and a file of ``size`` bytes, made while it is read."""

    START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
    END = b"\r\n--b--\r\n"

    def __init__(self, size: int, name: str = "") -> None:
        self._name = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n%b\r\n' % name.encode()
        self._parts = self._generate(size)
        self._length = len(self._name) + len(self.START) + size + len(self.END)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def read(self, size: int = -1) -> bytes:
        return next(self._parts, b"")

    def _generate(self, size: int) -> Iterator[bytes]:
        yield self._name + self.START
        for _ in range(size // MIB):
            yield bytes(MIB)
        yield self.END


class Large(NamedTuple):
    """A server for large bodies, and its process."""

    port: int
    pid: int

    def peak(self) -> int:
        """Return the peak memory of the process, in bytes (proc(5), VmHWM)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024


@pytest.fixture
def large(tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[Large]:
    pytest.importorskip("flask")
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is measured by /proc")
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(FILE)
    command = [sys.executable, "-m", "gevent.monkey", "--module", "tests.integration.large_bodies"]
    with Program(*command, str(path)) as program:
        started = program.expect(r"port (\d+) pid (\d+)")
        server = Large(int(started[1]), int(started[2]))
        requests.get(f"http://127.0.0.1:{server.port}/download/65536", timeout=PATIENCE)
        before = server.peak()
        yield server
        grown = server.peak() - before
        record_property("peak_rss_growth", grown)
        print(f"peak memory: {before // MIB} MiB before, {grown // MIB} MiB more")
        assert grown < SPARE


def test_an_upload_of_200_mb_needs_no_memory(large: Large) -> None:
    answer = requests.post(
        f"http://127.0.0.1:{large.port}/upload",
        data=Upload(UPLOAD),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=PATIENCE,
    )
    assert answer.json() == {"size": UPLOAD}


@pytest.mark.parametrize(("path", "size"), [(f"/download/{DOWNLOAD}", DOWNLOAD), ("/file", FILE)])
def test_a_large_download_to_a_slow_reader_needs_no_memory(large: Large, path: str, size: int) -> None:
    with RawClient(large.port, receive_buffer=256 * 1024) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        head = client.read_head()
        assert f"Content-Length: {size}" in head
        received = len(client.buffer)
        buffer = bytearray(MIB)
        for _ in range(5):
            gevent.sleep(0.1)  # so that the server has time to send more than the client takes
            received += client.sock.recv_into(buffer)
        while count := client.sock.recv_into(buffer):
            received += count
        assert received == size
