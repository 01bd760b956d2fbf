"""A machine that misbehaves: its clock is set while the server runs, and the disk of its logs is full."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import gevent
import pytest

from tests.helpers import require_program
from tests.hostile.scene import JSON_LINE, SERVER
from tests.programs import Program
from tests.raw import TEXT, RawClient, masked
from tests.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Clock:
    """The time of day as a program sees it, which can be set while it runs."""

    def __init__(self, file: Path) -> None:
        require_program("faketime")
        self._file = file
        self.set(0)
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no setting of a clock changes this one
        }

    def set(self, days: int) -> None:
        self._file.write_text(f"{days:+}d\n")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "offset")


@pytest.fixture
def port(clock: Clock) -> Iterator[int]:
    """The port of a server that lives by this clock."""
    with Program(sys.executable, str(SERVER), env=clock.environment) as server:
        yield json.loads(server.expect(JSON_LINE)[1])["port"]
        assert "Traceback" not in server.output


def test_when_the_clock_is_set_nobody_is_cut_off_and_answers_have_the_new_date(
    clock: Clock, port: int
) -> None:
    with gevent.Timeout(PATIENCE), RawClient(port, "/echo") as websocket, RawClient(port) as http:

        def date() -> datetime:
            http.send(GET)
            head = http.read_head()
            http.read_body(len("hello"))
            found = next(line for line in head.split("\r\n") if line.startswith("Date: "))
            return parsedate_to_datetime(found.removeprefix("Date: "))

        for days in (0, 2, -300, 0):
            clock.set(days)
            there = datetime.now(UTC) + timedelta(days)
            while abs(date() - there) > timedelta(minutes=5):
                gevent.sleep(0.01)
            websocket.send(masked(TEXT, f"{days}"))
            assert websocket.frame() == (TEXT, b"%d" % days, True)


def test_when_the_disk_of_the_log_is_full_everybody_is_answered() -> None:
    command = f'exec "{sys.executable}" "{SERVER}" 2>/dev/full'
    with Program("sh", "-c", command) as server:
        port = json.loads(server.expect(JSON_LINE)[1])["port"]
        with RawClient(port, "/echo") as websocket:
            for _ in range(20):
                with RawClient(port) as http:
                    http.send(b"GET /no-such-page HTTP/1.1\r\nHost: a\r\n\r\n")  # its failure is logged
                    assert http.read_head().startswith("HTTP/1.1 500")
                websocket.send(masked(TEXT, "hello"))
                assert websocket.frame() == (TEXT, b"hello", True)


@pytest.mark.once
def test_when_the_disk_of_the_access_log_is_full_everybody_is_answered_and_the_log_says_so_once() -> None:
    serve = f'"{sys.executable}" -m geventkws serve tests.hostile.server:application'
    options = "--service /echo=tests.hostile.server:Echo --bind 127.0.0.1:0"
    with Program("sh", "-c", f"exec {serve} {options} >/dev/full") as server:
        port = int(server.expect(r"Listening on port (\d+)")[1])
        with RawClient(port) as http:
            for _ in range(20):
                http.send(GET)
                assert http.read_head().startswith("HTTP/1.1 200")
                http.read_body(len("hello"))
                with RawClient(port, "/echo") as websocket:  # it has a line, too, when it ends
                    websocket.send(masked(TEXT, "hello"))
                    assert websocket.frame() == (TEXT, b"hello", True)
        server.signal(signal.SIGTERM)
        server.wait()
    assert server.output.count("Lines of the access log are lost: [Errno 28]") == 1, server.output
    assert "Traceback" not in server.output
