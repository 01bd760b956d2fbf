"""Code that blocks the hub is named in the log while it does so, and nothing else is."""

from __future__ import annotations

import gc
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.threadpool import ThreadPool

from geventkws import WebSocketServer
from geventkws.server import watchdog
from geventkws.server.log_limit import LogLimit
from geventkws.server.watchdog import Watchdog
from tests.integration.conftest import Recorder, Serve
from tests.programs import Program
from tests.raw import TEXT, RawClient, masked
from tests.waiting import PATIENCE

LIMIT = 0.25

pytestmark = [
    pytest.mark.alone,  # anything else that runs here holds up the hub, too
    # Some tests end a hub with its thread. Its watchers end with its loop, which gevent does not notice;
    # they are collected when Python lets go of the thread, maybe in a later test.
    pytest.mark.filterwarnings("ignore:.*watcher.__del__:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def nobody_was_named_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_culprits", LogLimit(60))


def block(seconds: float) -> None:
    """Sleep with the standard library's own function; a module that kept it would cause a warning."""
    monkey.get_original("time", "sleep")(seconds)


def hold_up(message: object, connection: object) -> None:
    block(3 * LIMIT)


def compute(message: object, connection: object) -> None:
    """Keep even other threads from running: a regular expression holds the GIL."""
    began, length = monotonic(), 20
    while monotonic() - began < 4 * LIMIT:
        re.match(r"(a+)+$", "a" * length + "b")
        length += 1


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of watchdogs; other warnings depend on what ran before."""
    records = [record for record in caplog.records if record.levelname == "WARNING"]
    return [record.getMessage() for record in records if record.filename == "watchdog.py"]


def told_in_time(caplog: pytest.LogCaptureFixture, number: int) -> list[str]:
    """Wait for this many warnings; the thread that logs them may be late if others hold the GIL."""
    with gevent.Timeout(PATIENCE):
        while len(told(caplog)) < number:
            gevent.sleep(0.005)
    return told(caplog)


def watching() -> int:
    """Return how many threads watch a hub."""
    frames = sys._current_frames().values()
    return sum(frame.f_code is Watchdog._watch.__code__ for frame in frames)


def settles_at(number: int) -> None:
    """Wait until this many threads watch a hub."""
    with gevent.Timeout(PATIENCE):
        while watching() != number:
            gevent.sleep(0.005)


def call(serve: Serve, *functions: Callable[..., None], limit: float = LIMIT) -> None:
    """Let a service call ``functions``, one for each message."""
    waiting = list(functions)
    service = Recorder(received=lambda message, connection: waiting.pop(0)(message, connection))
    client = serve(service, block_warning=limit).connect()
    service.expect("connected")
    for _ in functions:
        client.send(masked(TEXT, "go"))
        service.expect("received", "go")


@pytest.mark.parametrize("culprit", [hold_up, compute])
def test_the_culprit_is_named_with_its_stack(
    serve: Serve, caplog: pytest.LogCaptureFixture, culprit: Callable[..., None]
) -> None:
    call(serve, culprit)
    [message] = told_in_time(caplog, 1)
    assert message.startswith("Nobody has been served for ")
    assert f"in {culprit.__name__}\n" in message
    assert __file__ in message


def test_each_is_named_once_a_minute(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    call(serve, hold_up, hold_up, compute)
    assert [re.findall(r"in (hold_up|compute)\n", message) for message in told_in_time(caplog, 2)] == [
        ["hold_up"],
        ["compute"],
    ]


def test_an_application_is_named_too(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        hold_up("", None)
        start_response("200 OK", [])
        return [b"late"]

    client = serve(application=application, block_warning=LIMIT).connect(None)
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert client.read_to_end().endswith(b"late")
    [message] = told_in_time(caplog, 1)
    assert "in application\n" in message


def test_whoever_waits_through_gevent_or_makes_many_short_calls_is_not_named(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def short(message: object, connection: object) -> None:
        block(0.05)

    limit = 4 * LIMIT  # more than a busy machine stands still
    call(serve, lambda message, connection: gevent.sleep(1.5 * limit), *[short] * 30, limit=limit)
    assert not told(caplog)


def test_the_thread_ends_with_the_server_and_there_is_none_without_a_limit(serve: Serve) -> None:
    settles_at(0)  # those of earlier tests
    serve(block_warning=None)
    assert watching() == 0
    site = serve(block_warning=60)
    settles_at(1)
    site.server.stop()
    settles_at(0)


def test_the_thread_ends_with_a_hub_that_is_no_more() -> None:
    settles_at(0)

    def serve_in_thread() -> None:
        server = WebSocketServer(("127.0.0.1", 0), block_warning=LIMIT)
        server.start()
        server.close()
        settles_at(1)
        gevent.get_hub().destroy(destroy_loop=True)

    pool = ThreadPool(1)
    pool.spawn(serve_in_thread).get(timeout=PATIENCE)
    settles_at(0)
    pool.kill()
    gc.collect()


def test_the_thread_ends_with_the_hubs_thread(caplog: pytest.LogCaptureFixture) -> None:
    settles_at(0)
    started = monkey.get_original("_thread", "allocate_lock")()
    started.acquire()

    def serve_in_thread() -> None:
        server = WebSocketServer(("127.0.0.1", 0), block_warning=LIMIT)
        server.start()
        server.close()
        started.release()

    monkey.get_original("_thread", "start_new_thread")(serve_in_thread, ())
    assert started.acquire(timeout=PATIENCE)
    settles_at(0)
    assert not told(caplog)
    gc.collect()


@pytest.fixture(params=["libev-cext", "libuv"])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    code = """
from gevent import monkey; monkey.patch_all()
import logging
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
from geventkws import WebSocketServer
WebSocketServer(("127.0.0.1", 0), block_warning=0.2).serve_forever()
"""
    with Program(sys.executable, "-u", "-c", code, env={"GEVENT_LOOP": request.param}) as running:
        yield running


@pytest.mark.once
def test_a_process_that_was_suspended_did_not_block(program: Program) -> None:
    port = int(program.expect(r"Listening on port (\d+)")[1])
    for _ in range(4):  # whether hub or thread continues first is left to chance
        program.signal(signal.SIGSTOP)
        time.sleep(0.5)
        program.signal(signal.SIGCONT)
        time.sleep(0.1)
    with RawClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert client.read_to_end()
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert "WARNING" not in program.output
