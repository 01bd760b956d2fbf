"""How workers come and go: gunicorn's signals, while clients are connected."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import gevent
import gevent.event
import pytest

from tests.gunicorn.conftest import Gunicorn, Start, ended
from tests.raw import CLOSE, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("measured")

GET = b"GET /wait?answer HTTP/1.1\r\nHost: h\r\n\r\n"

CLOSING = """
from geventkws.gunicorn import Worker

class worker_class(Worker):
    options = {"drain_code": 1012, "drain_window": 1}
"""


def idle(server: Gunicorn) -> RawClient:
    """Return a client of an idle connection that has had an answer."""
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    size = int(client.read_head().partition("Content-Length: ")[2].partition("\r\n")[0])
    client.read_body(size)
    return client


class TestTERM:
    def test_what_is_under_way_is_finished_and_then_it_ends_at_once(self, start: Start) -> None:
        server = start()
        keeping, busy = idle(server), server.connect()
        busy.send(GET)
        server.expect("waiting for answer")
        talking, quiet = server.connect("/wait"), server.connect("/echo")
        talking.send(masked(TEXT, "message"))
        server.expect("received message")
        server.signal(signal.SIGTERM)
        assert keeping.read_to_end() == b""
        assert quiet.close_code() == (1001, "")
        quiet.send(close_frame(1001))
        for _ in range(3):
            for pid in server.children():
                os.kill(pid, signal.SIGTERM)  # as gunicorn does
        server.let("answer")
        server.let("message")
        head = busy.read_head()
        assert head.startswith("HTTP/1.1 200 ")
        assert "Connection: close" in head
        assert talking.frame() == Frame(TEXT, b"message")
        assert talking.close_code() == (1001, "")
        began = monotonic()
        talking.send(close_frame(1001))
        assert server.wait() == 0
        assert monotonic() - began < PATIENCE
        assert "Traceback" not in server.output

    def test_drain_code_and_drain_window(self, start: Start) -> None:
        server = start(conf=CLOSING)
        clients = [server.connect("/echo") for _ in range(10)]
        began = monotonic()
        server.signal(signal.SIGTERM)
        for client in clients:
            assert client.close_code() == (1012, "")
            client.send(close_frame(1012))
        assert monotonic() - began > 0.8
        assert server.wait() == 0

    def test_who_waits_for_a_blocked_worker_is_answered_before_it_closes(
        self, start: Start, reserved_port: int
    ) -> None:
        server = start("--reuse-port", bind=f"127.0.0.1:{reserved_port}")
        server.port = reserved_port
        [first] = server.booted()
        assert_serves(server)
        server.connect().send(b"GET /block?go-on HTTP/1.1\r\nHost: h\r\n\r\n")
        server.expect("blocking")
        waiting = [server.connect() for _ in range(20)]
        os.kill(first, signal.SIGTERM)
        server.let("go-on")
        for client in waiting:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert client.read_to_end().endswith(f"\r\n{first}".encode())


def test_a_worker_that_has_only_just_been_forked_ends_gracefully(start: Start) -> None:
    conf = (
        "import time\nfrom pathlib import Path\n"
        "def post_fork(server, worker):\n"
        "    print('forked', worker.pid, flush=True)\n"
        "    while not Path('go-on').exists():\n"
        "        time.sleep(0.005)\n"
    )
    server = start(conf=conf)
    pid = int(server.expect(r"forked (\d+)")[1])
    os.kill(pid, signal.SIGTERM)
    server.let("go-on")
    server.expect(rf"Worker exiting \(pid: {pid}\)")
    assert int(server.get()) != pid
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "was sent SIGTERM" not in server.output


class TestTheEndAtOnce:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
    def test_nobody_is_waited_for(self, start: Start, number: int) -> None:
        server = start()
        busy, client = server.connect(), server.connect("/echo")
        busy.send(GET)
        server.expect("waiting for answer")
        server.signal(number)
        assert server.wait() == 0
        assert busy.read_to_end() == client.read_to_end() == b""

    def test_not_even_a_callback_that_blocks_the_hub(self, start: Start) -> None:
        server = start()
        server.connect().send(b"GET /block?never HTTP/1.1\r\nHost: h\r\n\r\n")
        server.expect("blocking")
        began = monotonic()
        server.signal(signal.SIGQUIT)
        assert server.wait() == 0
        assert monotonic() - began < PATIENCE  # gunicorn would wait for 30 s

    def test_nor_is_a_graceful_end_under_way(self, start: Start) -> None:
        server = start()
        [pid] = server.booted()
        server.connect().send(GET)
        server.expect("waiting for answer")
        client = idle(server)
        os.kill(pid, signal.SIGTERM)
        assert client.read_to_end() == b""
        os.kill(pid, signal.SIGQUIT)
        [second] = server.booted()  # once the first is gone
        assert second != pid

    def test_a_worker_ends_when_gunicorn_is_gone(self, start: Start) -> None:
        server = start()
        [pid] = server.booted()
        client = server.connect("/echo")
        server.signal(signal.SIGKILL)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        ended(pid)


class TestHUP:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_no_request_and_no_message_is_lost_under_load(self, start: Start, workers: int) -> None:
        server = start(workers=workers)
        before = set(server.booted())
        with load(server) as seen:
            wait_until(lambda: seen["requests"] > 20 and seen["messages"] > 20)
            server.signal(signal.SIGHUP)
            after = set(server.booted())
            for pid in before:
                ended(pid)
            target = {name: count + 20 for name, count in seen.items()}
            wait_until(lambda: all(seen[name] >= target[name] for name in ("requests", "messages")))
        assert not seen["lost"]
        assert seen["closed with 1001"] >= 1
        assert int(server.get()) in after
        assert "Traceback" not in server.output


class TestMoreAndFewer:
    def test_ttin_and_ttou(self, start: Start) -> None:
        server = start()
        [first] = server.booted()
        client = server.connect("/echo")
        server.signal(signal.SIGTTIN)
        [second] = server.booted(1)
        wait_until(lambda: server.children() == {first, second})
        server.signal(signal.SIGTTOU)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        wait_until(lambda: server.children() == {second})
        assert server.get() == str(second)


class TestUSR2:
    def test_a_new_gunicorn_takes_over_the_sockets(self, start: Start) -> None:
        server = start()
        [old] = server.booted()
        client = server.connect("/echo")
        server.signal(signal.SIGUSR2)
        [new] = server.booted(1)
        server.signal(signal.SIGTERM)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        ended(old)
        assert server.ends_within(PATIENCE)
        assert server.get() == str(new)
        parent = int(Path(f"/proc/{new}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGTERM)
        ended(new)


def assert_serves(server: Gunicorn) -> None:
    """Wait until somebody accepts at a port that was known before."""

    def answers() -> bool:
        with suppress(ConnectionRefusedError):
            return bool(server.get())
        return False

    wait_until(answers)


@contextmanager
def load(server: Gunicorn) -> Iterator[Counter[str]]:
    """Let clients ask and talk all the time, and count what they see."""
    seen: Counter[str] = Counter()
    over = gevent.event.Event()

    def again_and_again(function: Callable[[], None]) -> None:
        while not over.is_set():
            try:
                function()
            except (OSError, EOFError, AssertionError) as error:
                seen["lost"] += 1
                print("lost:", repr(error))

    def ask() -> None:
        server.get()
        seen["requests"] += 1

    def talk() -> None:
        client = server.connect("/echo")
        if client.head.startswith("HTTP/1.1 503 "):
            return  # it came to a worker that stops, and comes again
        number = 0
        while not over.is_set():
            client.send(masked(TEXT, str(number)))
            frame = client.frame()
            if frame.opcode == CLOSE:
                seen[f"closed with {int.from_bytes(frame.payload[:2])}"] += 1
                client.send(close_frame(1001))
                break
            assert frame == Frame(TEXT, str(number).encode())
            seen["messages"] += 1
            number += 1
            gevent.sleep(0.005)
        client.close()

    greenlets = [gevent.spawn(again_and_again, each) for each in (ask, ask, ask, talk, talk, talk)]
    yield seen
    over.set()
    gevent.joinall(greenlets, timeout=PATIENCE, raise_error=True)
