"""How an HTTP connection shares the hub: when it sends, what it reads ahead, which greenlets answer."""

from __future__ import annotations

import contextvars
import fcntl
import os
import socket
import termios
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.event import Event
from gevent.local import local
from gevent.pool import Pool

from geventkws.http.connection import READ_AHEAD
from geventkws.loop.channel import BYTES_READ
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import TEXT, RawClient, masked, upgrade_request
from tests.waiting import PATIENCE

PLAIN = [("Content-Type", "text/plain")]
SIOCOUTQ = termios.TIOCOUTQ

select: Callable[..., Any] = monkey.get_original("select", "select")

Environ = dict[str, Any]


def get(path: str, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "Host: h", *fields, "")).encode()


def answers(client: RawClient, count: int) -> list[bytes]:
    """Return the bodies of the next ``count`` responses, each with a Content-Length."""
    bodies = []
    for _ in range(count):
        head = client.read_head()
        assert head.startswith("HTTP/1.1 200"), head
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        bodies.append(client.read_body(int(fields["Content-Length"])))
    return bodies


def tell_path(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [environ["PATH_INFO"].encode()]


class Blocking:
    """An application that answers with the path; for ``/wait...``, when allowed."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.go_on: dict[str, Event] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.called.append(path)
        if path.startswith("/wait"):
            assert self.go_on.setdefault(path, Event()).wait(PATIENCE)
        return tell_path(environ, start_response)

    def let(self, path: str) -> None:
        self.go_on.setdefault(path, Event()).set()

    def expect(self, *paths: str) -> None:
        """Wait until it has been called for these paths, in this order, and no others."""
        with gevent.Timeout(PATIENCE):
            while len(self.called) < len(paths):
                gevent.sleep(0.001)
        gevent.sleep(0.01)
        assert self.called == list(paths)


class TestSending:
    def test_the_first_block_has_arrived_before_the_second_is_computed(self, serve: Serve) -> None:
        arrived: list[bytes] = []

        def application(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
            start_response("200 OK", [*PLAIN, ("Content-Length", "11")])
            yield b"first"
            # The hub, and thus the server, stands still during this computation.
            descriptor = client.sock.fileno()
            while select([descriptor], [], [], 1)[0]:
                arrived.append(os.read(descriptor, 65536))
                if not arrived[-1] or arrived[-1].endswith(b"first"):
                    break
            computed.set()
            yield b"second"

        computed = Event()
        client = serve(application=application).connect(None)
        client.send(get("/"))
        assert computed.wait(PATIENCE)
        assert b"".join(arrived).endswith(b"\r\n\r\nfirst")
        assert client.read_body(6) == b"second"

    @pytest.mark.parametrize("path", ["/", "/wait"])
    def test_a_client_that_has_sent_its_end_gets_all_answers(self, serve: Serve, path: str) -> None:
        application = Blocking()
        client = serve(application=application).connect(None)
        paths = [path, *(f"/{index}" for index in range(300))]
        client.send(b"".join(map(get, paths)))
        client.half_close()
        gevent.sleep(0.01)
        application.let("/wait")
        assert answers(client, len(paths)) == [each.encode() for each in paths]
        assert client.read_to_end() == b""

    def test_so_it_does_if_all_together_are_more_than_the_socket_takes(self, serve: Serve) -> None:
        def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            start_response("200 OK", PLAIN)
            return [environ["PATH_INFO"].encode() * 10_000]

        site = serve(application=application)
        client = site.connect(None, receive_buffer=16 * 1024)
        client.send(b"".join(get(f"/{index:03}") for index in range(200)))
        client.half_close()
        expected = [f"/{index:03}".encode() * 10_000 for index in range(200)]
        assert answers(client, 200) == expected
        assert client.read_to_end() == b""


class TestReuse:
    """One greenlet answers the requests of a connection, as long as they do not block."""

    @pytest.mark.parametrize("pipelined", [True, False])
    @pytest.mark.parametrize("blocks", [True, False])
    @pytest.mark.parametrize("kind", ["context variable", "gevent.local"])
    def test_a_request_sees_nothing_of_the_one_before(
        self, serve: Serve, kind: str, pipelined: bool, blocks: bool
    ) -> None:
        variable = contextvars.ContextVar("user", default="nobody")
        place = local()

        def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            start_response("200 OK", PLAIN)
            if blocks:
                gevent.sleep(0.001)
            # One kind at a time: a greenlet with a gevent.local is not reused.
            if kind == "context variable":
                seen = variable.get()
                variable.set("somebody")
            else:
                seen = getattr(place, "user", "nobody")
                place.user = "somebody"
            return [seen.encode()]

        client = serve(application=application).connect(None)
        seen = []
        if pipelined:
            client.send(get("/") * 5)
            seen = answers(client, 5)
        else:
            for _ in range(5):
                client.send(get("/"))
                seen += answers(client, 1)
        assert seen == [b"nobody"] * 5


def in_kernel(descriptor: int, request: int) -> int:
    """Return how many bytes are in one of a socket's queues."""
    return int.from_bytes(fcntl.ioctl(descriptor, request, bytes(4)), "little")


def fill(sock: socket.socket) -> int:
    """Send until nothing more is taken for a while; return how many bytes were."""
    sent, block = 0, bytes(256 * 1024)
    sock.settimeout(0.3)
    try:
        while sent < 64 * 1024 * 1024:
            sent += sock.send(block)
    except TimeoutError:
        pass
    sock.settimeout(PATIENCE)
    return sent


class TestReadingAhead:
    def taken(self, site: Site, client: RawClient, sent: int) -> int:
        """Return how many of the bytes sent are in neither kernel queue."""
        (channel,) = site.server._connections.peers
        with gevent.Timeout(PATIENCE):
            while True:
                left = in_kernel(client.sock.fileno(), SIOCOUTQ)
                waiting = in_kernel(channel.transport.fileno(), termios.FIONREAD)
                if left == in_kernel(client.sock.fileno(), SIOCOUTQ) and sent - left - waiting >= 0:
                    return sent - left - waiting
                gevent.sleep(0.01)

    @pytest.mark.parametrize("kind", ["a body", "further requests"])
    def test_while_the_application_blocks_little_is_taken_from_the_kernel(
        self, serve: Serve, kind: str
    ) -> None:
        application = Blocking()
        site = serve(application=application)
        client = site.connect(None)
        head = get("/wait", f"Content-Length: {1 << 40}") if kind == "a body" else get("/wait")
        client.send(head)
        application.expect("/wait")
        sent = len(head) + fill(client.sock)
        assert sent > 4 * (READ_AHEAD + BYTES_READ), "the kernel had more to give"
        assert READ_AHEAD <= self.taken(site, client, sent) <= len(head) + READ_AHEAD + BYTES_READ
        (channel,) = site.server._connections.peers
        assert not channel.is_reading, "the hub must not be told of the rest again and again"
        application.let("/wait")

    def test_what_was_left_there_is_served_afterwards(self, serve: Serve) -> None:
        application = Blocking()
        client = serve(application=application).connect(None)
        count = 4 * READ_AHEAD // len(get("/next"))
        sender = gevent.spawn(client.send, get("/wait") + get("/next") * count)
        application.expect("/wait")
        application.let("/wait")
        assert answers(client, 1 + count) == [b"/wait"] + [b"/next"] * count
        sender.get(timeout=PATIENCE)


class CountingPool(Pool):
    """A pool that counts the greenlets that it was asked for."""

    asked = 0

    def spawn(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().spawn(*args, **kwargs)


class TestAPoolOfGreenlets:
    def test_it_is_asked_once_for_each_request(self, serve: Serve) -> None:
        pool = CountingPool(2)
        site = serve(application=tell_path, spawn=pool)
        first, second = site.connect(None), site.connect(None)
        first.send(get("/1") + get("/2"))
        assert answers(first, 2) == [b"/1", b"/2"]
        second.send(get("/3"))
        assert answers(second, 1) == [b"/3"]
        assert pool.asked == 3

    def test_idle_connections_take_no_place(self, serve: Serve) -> None:
        pool = CountingPool(2)
        site = serve(application=tell_path, spawn=pool)
        clients = [site.connect(None) for _ in range(6)]
        for client in clients:
            client.send(get("/"))
            assert answers(client, 1) == [b"/"]
        with gevent.Timeout(PATIENCE):
            while pool.free_count() < 2:
                gevent.sleep(0.001)
        assert site.server.http_connections == 6

    def test_while_it_is_full_requests_wait_and_are_answered_in_their_order(self, serve: Serve) -> None:
        application = Blocking()
        site = serve(application=application, spawn=Pool(2))
        paths = [f"/wait{index}" for index in range(6)]
        clients = []
        for index, path in enumerate(paths):
            clients.append(site.connect(None))
            clients[-1].send(get(path))
            application.expect(*paths[: min(index + 1, 2)])
        for index, path in enumerate(paths):
            application.let(path)
            assert answers(clients[index], 1) == [path.encode()]
            application.expect(*paths[: index + 3])

    def test_one_that_waits_may_leave(self, serve: Serve) -> None:
        application = Blocking()
        site = serve(application=application, spawn=Pool(1))
        busy, gone, next_one = (site.connect(None) for _ in range(3))
        busy.send(get("/wait"))
        application.expect("/wait")
        gone.send(get("/gone"))
        gevent.sleep(0.01)
        gone.reset()
        next_one.send(get("/next"))
        application.let("/wait")
        assert answers(busy, 1) == [b"/wait"]
        assert answers(next_one, 1) == [b"/next"]
        with gevent.Timeout(PATIENCE):
            while site.server.http_connections > 2:
                gevent.sleep(0.001)

    def test_not_more_wait_than_may(self, serve: Serve) -> None:
        application = Blocking()
        site = serve(application=application, spawn=Pool(1), max_waiting_requests=1)
        busy, waiting, refused = (site.connect(None) for _ in range(3))
        busy.send(get("/wait"))
        application.expect("/wait")
        waiting.send(get("/next"))
        spawning: Any = site.server._spawning
        with gevent.Timeout(PATIENCE):
            while not spawning._waiting:
                gevent.sleep(0.001)
        refused.send(get("/refused") + get("/refused"))
        assert refused.read_head().startswith("HTTP/1.1 503")
        assert refused.read_to_end() == b"Too many requests are waiting\n"
        application.let("/wait")
        assert answers(busy, 1) == [b"/wait"]
        assert answers(waiting, 1) == [b"/next"]

    def test_a_websocket_takes_no_place(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, application=tell_path, spawn=Pool(1))
        client = site.connect(None)
        client.send(get("/") + upgrade_request("/service") + masked(TEXT, "early"))
        assert answers(client, 1) == [b"/"]
        assert client.read_head().startswith("HTTP/1.1 101")
        service.expect("connected")
        service.expect("received", "early")
        other = site.connect(None)
        other.send(get("/other"))
        assert answers(other, 1) == [b"/other"]


@pytest.mark.parametrize("spawn", ["default", 1])
def test_frames_in_one_segment_with_an_upgrade_wait_for_the_answers_before_it(
    serve: Serve, spawn: Any
) -> None:
    service, application = Recorder(), Blocking()
    site = serve(service, application=application, spawn=spawn)
    client = site.connect(None)
    frames = b"".join(masked(TEXT, str(index)) for index in range(20))
    client.send(get("/wait") + get("/then") + upgrade_request("/service") + frames)
    application.expect("/wait")
    application.let("/wait")
    assert answers(client, 2) == [b"/wait", b"/then"]
    assert client.read_head().startswith("HTTP/1.1 101")
    service.expect("connected")
    for index in range(20):
        service.expect("received", str(index))
    service.expect_nothing_more()


def test_the_time_of_an_idle_connection_begins_with_its_answer(serve: Serve) -> None:
    def application(environ, start_response):
        gevent.sleep(0.6)  # longer than an idle connection is kept
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    client = serve(application=application, keepalive_timeout=0.5).connect(None)
    for _ in range(2):
        client.send(get("/"))
        assert client.read_head().startswith("HTTP/1.1 200")
        assert client.read_body(2) == b"ok"
        gevent.sleep(0.2)  # the clock checks more often than this
