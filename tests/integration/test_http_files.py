"""Files as responses, sent by the kernel or by reads, and everything that may be wrong with them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Certificates
from tests.integration.conftest import Serve
from tests.raw import RawClient
from tests.tls import tls_socket

SIZE = 300_000
CONTENT = bytes(range(250)) * (SIZE // 250)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call of ``os.sendfile`` has sent."""
    counts: list[int] = []
    sendfile = os.sendfile

    def counted(*args: int) -> int:
        counts.append(sendfile(*args))
        return counts[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    return counts


def sending(
    path: Path, *headers: tuple[str, str], position: int = 0, meanwhile: Callable[[], object] = lambda: None
):
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "application/x-test"), *headers])
        file = path.open("rb")
        file.seek(position)
        meanwhile()
        return environ["wsgi.file_wrapper"](file)

    return application


def fetch(site, method: str = "GET", version: str = "1.1", sock: Any = None) -> tuple[str, bytes]:
    with RawClient(site.port, sock=sock) as client:
        client.send(f"{method} / HTTP/{version}\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return client.read_head(), client.read_to_end()


class TestByTheKernel:
    @pytest.mark.parametrize("version", ["1.1", "1.0"])
    def test_a_file_is_sent_with_its_length(self, serve: Serve, path: Path, sent, version: str) -> None:
        head, body = fetch(serve(application=sending(path)), version=version)
        assert f"\r\nContent-Length: {SIZE}" in head
        assert body == CONTENT
        assert sum(sent) == SIZE

    def test_a_range_is_sent_from_the_files_position(self, serve: Serve, path: Path, sent) -> None:
        application = sending(path, ("Content-Length", "100000"), position=7)
        assert fetch(serve(application=application))[1] == CONTENT[7:100_007]
        assert sum(sent) == 100_000

    def test_head_has_the_length_alone(self, serve: Serve, path: Path, sent) -> None:
        head, body = fetch(serve(application=sending(path)), "HEAD")
        assert f"\r\nContent-Length: {SIZE}" in head
        assert body == b""
        assert not sent

    def test_the_connection_goes_on(self, serve: Serve, path: Path, sent) -> None:
        with RawClient(serve(application=sending(path)).port) as client:
            for connection in ("keep-alive", "close"):
                client.send(f"GET / HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode())
            assert client.read_to_end().count(CONTENT) == 2

    @pytest.mark.logs_errors
    def test_a_file_that_becomes_shorter_is_cut_off(self, serve: Serve, path: Path, sent) -> None:
        application = sending(path, ("Content-Length", str(SIZE + 1)))
        assert fetch(serve(application=application))[1] == CONTENT
        assert sum(sent) == SIZE

    def test_a_peer_that_takes_nothing_is_dropped(self, serve: Serve, path: Path, sent) -> None:
        with path.open("ab") as file:
            file.truncate(100_000_000)
        site = serve(application=sending(path), body_timeout=0.2)
        with RawClient(site.port, receive_buffer=4096) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            client.read_head()
            site.wait_until_empty()
        assert 0 < sum(sent) < 100_000_000


class TestByReads:
    def test_small_files_leave_with_their_head(self, serve: Serve, path: Path, sent) -> None:
        head, body = fetch(serve(application=sending(path, position=SIZE - 10)))
        assert "\r\nContent-Length: 10" in head
        assert body == CONTENT[-10:]
        assert not sent

    def test_tls_encrypts_what_was_read(
        self, serve: Serve, path: Path, sent, certificates: Certificates
    ) -> None:
        options = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
        site = serve(application=sending(path), **options)
        head, body = fetch(site, sock=tls_socket(site.port, certificates.client()))
        assert f"\r\nContent-Length: {SIZE}" in head
        assert body == CONTENT
        assert not sent

    def test_a_file_system_that_cannot_is_read(self, serve: Serve, path: Path, monkeypatch) -> None:
        def refuse(*args: int) -> int:
            raise OSError(errno.EINVAL, "no such thing here")

        monkeypatch.setattr(os, "sendfile", refuse)
        head, body = fetch(serve(application=sending(path)))
        assert f"\r\nContent-Length: {SIZE}" in head
        assert body == CONTENT

    @pytest.mark.logs_errors
    def test_a_disk_that_fails_cuts_the_response_off(self, serve: Serve, path: Path, monkeypatch) -> None:
        def fail(*args: int) -> int:
            raise OSError(errno.EIO, "a bad disk")

        monkeypatch.setattr(os, "sendfile", fail)
        assert fetch(serve(application=sending(path)))[1] == b""
