"""An HTTP connection by itself, on a socket pair: requests in, answers out, and how it ends."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws.http.connection import HTTPConnection
from geventkws.http.context import HTTPContext
from geventkws.http.environ import EnvironBuilder
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.net.transport import PlainTransport
from geventkws.options import ServerOptions
from tests.helpers import fill, in_hub
from tests.raw import RawClient
from tests.waiting import PATIENCE, wait_until

GET = b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n"


class Line:
    """A connection, its peer, and an application that tells the path, or waits at ``/wait`` to be let go."""

    def __init__(self, **options: Any) -> None:
        ours, theirs = socket.socketpair()
        theirs.settimeout(PATIENCE)
        self.peer = RawClient(0, sock=theirs)
        self.go_on, self.waits, self.over = Event(), Event(), Event()
        self.context = HTTPContext(EnvironBuilder("h", 80), self.application, ServerOptions(**options))
        self.context.on_over = lambda channel: self.over.set()
        self.channel = Channel(Loop.current(), PlainTransport(ours.detach()))
        self.connection = HTTPConnection(self.channel, self.context, ("192.0.2.1", 5000))
        self.channel.start_reading()

    def application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.waits.set()
            assert self.go_on.wait(PATIENCE)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    def ask(self, *paths: bytes) -> None:
        self.peer.send(b"".join(GET % path for path in paths))

    def answered(self, path: bytes) -> bool:
        head = self.peer.read_head()
        return head.startswith("HTTP/1.1 200 ") and self.peer.read_body(len(path) + 1) == b"/" + path

    def expect_the_end(self) -> None:
        assert self.over.wait(PATIENCE)
        assert not self.channel.is_open


@pytest.fixture
def start() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def start(**options: Any) -> Line:
        lines.append(Line(**options))
        return lines[-1]

    yield start
    for line in lines:
        line.go_on.set()
        line.peer.close()
        assert line.over.wait(PATIENCE)


class TestRequests:
    def test_each_is_answered_and_the_connection_waits_for_the_next(self, start) -> None:
        line = start()
        for path in (b"a", b"b"):
            line.ask(path)
            assert line.answered(path)
        assert not line.connection._is_busy()

    def test_the_connection_is_new_until_its_first_answer(self, start) -> None:
        line = start()
        line.ask(b"wait")
        assert line.waits.wait(PATIENCE)
        assert line.channel.is_new
        line.go_on.set()
        assert line.answered(b"wait")
        assert not line.channel.is_new

    def test_those_that_come_together_are_answered_in_their_order(self, start) -> None:
        line = start()
        paths = [str(number).encode() for number in range(100)]
        line.ask(*paths)
        assert all(line.answered(path) for path in paths)

    def test_while_one_is_answered_a_limited_amount_is_read_ahead(self, start) -> None:
        line = start(max_head_size=8 * 1024)
        line.ask(b"wait")
        assert line.waits.wait(PATIENCE)
        sender = gevent.spawn(line.ask, *[b"x" * 1000] * 1000)
        wait_until(lambda: line.channel.paused_at is not None)
        gevent.sleep(0)
        assert not sender.ready()
        line.go_on.set()
        assert line.answered(b"wait")
        assert all(line.answered(b"x" * 1000) for _ in range(1000))
        sender.get(timeout=PATIENCE)

    def test_a_malformed_one_is_answered_and_the_connection_closes(self, start) -> None:
        line = start()
        line.peer.send(GET % b"a" + b"nonsense\r\n\r\n")
        assert line.answered(b"a")
        assert line.peer.read_head().startswith("HTTP/1.1 400 ")
        line.peer.read_to_end()
        line.peer.close()
        line.expect_the_end()


class TestTimeLimits:
    def test_a_head_that_never_ends_is_answered_with_408(self, start) -> None:
        line = start(head_timeout=5)
        line.peer.send(b"GET / HT")
        wait_until(line.connection._is_busy)
        in_hub(line.connection._check, monotonic() + 4)
        assert line.channel.is_open
        in_hub(line.connection._check, monotonic() + 6)
        assert line.peer.read_head().startswith("HTTP/1.1 408 ")

    def test_silence_is_not(self, start) -> None:
        line = start(head_timeout=5)
        in_hub(line.connection._check, monotonic() + 6)
        assert line.peer.read_to_end() == b""
        line.expect_the_end()

    def test_an_idle_connection_has_a_limit_of_its_own(self, start) -> None:
        line = start(head_timeout=5, keepalive_timeout=50)
        line.ask(b"a")
        assert line.answered(b"a")
        in_hub(line.connection._check, monotonic() + 40)
        assert line.channel.is_open
        in_hub(line.connection._check, monotonic() + 60)
        assert line.peer.read_to_end() == b""
        line.expect_the_end()

    def test_what_arrived_while_the_hub_was_busy_is_not_too_late(self, start) -> None:
        line = start(head_timeout=5)

        def check_late() -> None:
            line.peer.sock.sendall(GET % b"a")
            line.connection._check(monotonic() + 6)
            line.channel.loop.flush()

        in_hub(check_late)
        assert line.answered(b"a")

    def test_an_answer_for_which_there_was_room_while_the_hub_was_busy_is_not_lost(self, start) -> None:
        line = start(body_timeout=5)
        filled = fill(line.channel.transport)
        line.ask(b"a")
        wait_until(lambda: line.channel.awaits_room)

        def check_late() -> None:
            line.peer.read_body(filled)
            line.connection._check(monotonic() + 6)

        in_hub(check_late)
        assert line.answered(b"a")

    def test_a_peer_that_leaves_its_answer_unread_is_lost(self, start) -> None:
        line = start(body_timeout=5)
        fill(line.channel.transport)
        line.ask(b"a")
        wait_until(lambda: line.channel.awaits_room)
        in_hub(line.connection._check, line.connection.stream.stuck_since + 4.9)
        assert line.channel.is_open
        in_hub(line.connection._check, line.connection.stream.stuck_since + 5)
        line.expect_the_end()


class TestTheEnd:
    def test_a_peer_that_ends_gets_the_answers_to_everything_it_has_sent(self, start) -> None:
        line = start()
        line.ask(b"a", b"b")
        line.peer.half_close()
        assert line.answered(b"a")
        assert line.answered(b"b")
        assert line.peer.read_to_end() == b""
        line.expect_the_end()

    def test_one_that_must_hurry_answers_what_is_there_and_closes(self, start) -> None:
        line = start()
        line.ask(b"wait")
        assert line.waits.wait(PATIENCE)
        in_hub(line.connection._hurry)
        assert line.connection._is_busy()
        assert line.connection._describe() == "GET '/wait' of 192.0.2.1:5000"
        line.go_on.set()
        assert line.answered(b"wait")
        assert line.peer.read_to_end() == b""
        line.expect_the_end()

    def test_an_idle_one_that_must_hurry_closes_at_once(self, start) -> None:
        line = start()
        line.ask(b"a")
        assert line.answered(b"a")
        in_hub(line.connection._hurry)
        assert line.peer.read_to_end() == b""
        line.expect_the_end()

    def test_one_that_is_abandoned_ends_its_application(self, start) -> None:
        line = start()
        line.ask(b"wait")
        assert line.waits.wait(PATIENCE)
        in_hub(line.connection._abandon)
        line.peer.read_to_end()
        line.expect_the_end()

    def test_an_idle_one_that_is_abandoned_is_over(self, start) -> None:
        line = start()
        in_hub(line.connection._abandon)
        line.expect_the_end()

    def test_one_whose_code_fails_is_lost(self, start, monkeypatch: pytest.MonkeyPatch) -> None:
        line = start()
        monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *failure: None)
        in_hub(line.connection._crashed, LookupError("a mistake"))
        line.expect_the_end()
