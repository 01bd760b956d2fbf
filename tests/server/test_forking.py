"""A child process has no part in its parent's connections, however it was forked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import gevent
import pytest

from tests.programs import Program
from tests.raw import CLOSE, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE

SERVER = """
from gevent import monkey; monkey.patch_all()
import logging, multiprocessing, os, signal, subprocess, sys, gevent
import gevent.os
Process = multiprocessing.get_context("fork").Process
logging.basicConfig(format="%(message)s", level=logging.INFO)
from geventkws import ServiceRegistry, WebSocket, WebSocketServer, WebSocketService

me = os.getpid()

def live(*args):
    # The child's own work, for which its hub runs, until the parent is gone.
    print("child lives", flush=True)
    for _ in range(1000):
        if os.getppid() != me:
            os._exit(0)
        gevent.sleep(0.01)

def fork(function):
    if not function():
        live()
        os._exit(0)

def fork_and_send(connection):
    if not os.fork():
        print("child sent", connection.send("from the child"), connection.active, flush=True)
        live()

def fork_and_return():
    if not os.fork():
        gevent.spawn(live)

def fork_in_thread(connection):
    # In the child, this thread is the only one, and the server's hub is of another.
    if not gevent.os.fork_gevent():
        print("child sent", connection.send("from the child"), connection.active, flush=True)
        os._exit(0)

def fork_while_locked(connection):
    pool = gevent.get_hub().threadpool
    pool.apply(connection.send, ("from a thread",))  # which makes the gate for threads
    loop, gate = connection._channel.loop, connection._lifecycle.senders(connection)._gate
    with loop.lock, gate._lock:  # as if it were another thread that has them
        if not os.fork():
            living = gevent.spawn(live)
            loop.call_from_thread(lambda: print("child called", flush=True))
            sent = pool.apply(connection.send, ("from the child",))
            print("child sent", sent, connection.active, flush=True)
            living.join()

class Waiting:
    def proceed(self):
        print("parent" if os.getpid() == me else "child", "proceeded", flush=True)

def fork_and_serve(connection):
    connection._channel.loop.queue(Waiting())  # as a connection that has much to do, while the process forks
    if not os.fork():
        server = WebSocketServer(("127.0.0.1", 0), application, ServiceRegistry())
        server.start()
        print("child serves", server.server_port, flush=True)
        live()

def terminate(connection):
    child = os.fork()
    if not child:
        live()
    gevent.sleep(0.1)
    os.kill(child, signal.SIGTERM)
    # The real one: gevent's does not see all children on libuv.
    status = monkey.get_original("os", "waitpid")(child, 0)[1]
    print("terminated with", os.waitstatus_to_exitcode(status), flush=True)

def fork_and_exit(connection):
    child = os.fork()
    if not child:
        gevent.spawn(sys.exit, 3)  # which ends serve_forever, and the program
        gevent.sleep(60)
    status = monkey.get_original("os", "waitpid")(child, 0)[1]
    print("exited with", os.waitstatus_to_exitcode(status), flush=True)

def take_over(environ, start_response):
    sock = environ["geventkws.socket"]
    start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")])
    sock.sendall(b"mine")
    fork(os.fork)
    data = b""
    while len(data) < 4:
        data += sock.recv(4)
    sock.sendall(data)
    sock.close()
    return []

ways = {
    "exit": fork_and_exit,
    "terminate": terminate,
    "os": lambda connection: fork(os.fork),
    "gevent": lambda connection: fork(gevent.os.fork),
    "multiprocessing": lambda connection: Process(target=live, daemon=True).start(),
    "send": fork_and_send,
    "return": lambda connection: fork_and_return(),
    "thread": lambda connection: gevent.get_hub().threadpool.apply(fork_in_thread, (connection,)),
    "locked": fork_while_locked,
    "serve": fork_and_serve,
    "popen": lambda connection: subprocess.run(["true"]),
    "preexec": lambda connection: subprocess.run(["true"], preexec_fn=lambda: None),
}

class Forks(WebSocketService):
    def received(self, message, connection):
        if message in ways:
            ways[message](connection)
            connection.send("forked")
        elif message == "close":
            connection.close()
        else:
            connection.send(f"{message} {os.getpid()}")
    def disconnected(self, connection, reason):
        print(f"disconnected {reason:d} in {'parent' if os.getpid() == me else 'child'}", flush=True)

class Impatient(Forks):
    connection_timeout = 0.5

def application(environ, start_response):
    if "geventkws.socket" in environ:
        return take_over(environ, start_response)
    if environ["PATH_INFO"] != "/":
        ways[environ["PATH_INFO"][1:]](None)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"parent" if os.getpid() == me else b"child"]

WebSocket.register(Forks(), "service")
WebSocket.register(Impatient(), "impatient")
print("parent", me)
WebSocketServer(("127.0.0.1", 0), application, stop_timeout=1).serve_forever()
print("stopped in", "parent" if os.getpid() == me else "child", flush=True)
"""

FORKS = ("os", "gevent", "multiprocessing", "return")
EXECUTES = ("popen", "preexec")


class Parent:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.pid = program.expect(r"parent (\d+)")[1]
        self.port = int(program.expect(r"Listening on port (\d+)")[1])

        self.clients: list[RawClient] = []

    def client(self, path: str = "/service") -> RawClient:
        self.clients.append(RawClient(self.port, path))
        return self.clients[-1]

    def get(self, path: str) -> bytes:
        with RawClient(self.port) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            client.read_head()
            return client.read_to_end()

    def echoes(self, client: RawClient, count: int) -> None:
        for number in range(count):
            client.send(masked(TEXT, str(number)))
            assert client.frame() == Frame(TEXT, f"{number} {self.pid}".encode())

    def still_serves(self, client: RawClient) -> None:
        """Check that each message and each connection is answered by the parent, exactly once."""
        self.echoes(client, 20)
        for _ in range(10):
            assert self.get("/") == b"parent"
            with RawClient(self.port, "/service") as other:
                self.echoes(other, 1)
                closes(other)

    def stop(self, client: RawClient) -> None:
        """Stop the parent, which calls its services' callbacks; nobody else has called any."""
        closes(client)
        self.program.signal(signal.SIGTERM)
        assert self.program.wait() == 0
        assert "in child" not in self.program.output


def closes(client: RawClient) -> None:
    """Let the server close the connection, which its child, if any, must not keep open."""
    client.send(masked(TEXT, "close"))
    assert client.frame() == Frame(CLOSE, b"\x03\xe8")
    client.send(close_frame(1000))
    assert client.read_to_end() == b""


@pytest.fixture
def parent() -> Iterator[Parent]:
    with Program(sys.executable, "-u", "-c", SERVER) as program:
        parent = Parent(program)
        yield parent
        for client in parent.clients:
            client.close()


@pytest.mark.parametrize("way", FORKS)
def test_a_fork_in_a_callback_leaves_everything_to_the_parent(parent: Parent, way: str) -> None:
    gone, silent, client = parent.client(), parent.client("/impatient"), parent.client()
    client.send(masked(TEXT, way) + masked(TEXT, "next"))
    assert client.frame() == Frame(TEXT, b"forked")
    assert client.frame() == Frame(TEXT, f"next {parent.pid}".encode())
    parent.program.expect("child lives")
    parent.still_serves(client)
    gone.reset()
    for _ in (gone, silent):
        parent.program.expect("disconnected 1006 in parent")
    parent.stop(client)


@pytest.mark.parametrize("way", FORKS)
def test_so_does_a_fork_in_a_view(parent: Parent, way: str) -> None:
    client = parent.client()
    assert parent.get(f"/{way}") == b"parent"
    parent.program.expect("child lives")
    parent.still_serves(client)
    parent.stop(client)


@pytest.mark.parametrize("ahead", [b"", b"ba"], ids=["directly", "through a pump"])
def test_a_connection_that_an_application_has_taken_stays_the_parents(parent: Parent, ahead: bytes) -> None:
    with RawClient(parent.port, "/taken", behind=ahead) as taken:
        assert taken.read_body(4) == b"mine"
        parent.program.expect("child lives")
        taken.send(b"back".removeprefix(ahead))
        assert taken.read_to_end() == b"back"
    client = parent.client()
    parent.still_serves(client)
    parent.stop(client)


def test_what_the_child_sends_goes_nowhere(parent: Parent) -> None:
    client = parent.client()
    client.send(masked(TEXT, "send"))
    assert client.frame() == Frame(TEXT, b"forked")
    parent.program.expect("child sent False False")
    parent.program.expect("child lives")
    parent.still_serves(client)
    parent.stop(client)


def test_nor_what_it_sends_when_another_thread_has_forked(parent: Parent) -> None:
    client = parent.client()
    client.send(masked(TEXT, "thread"))
    assert client.frame() == Frame(TEXT, b"forked")
    parent.program.expect("child sent False False")
    parent.still_serves(client)
    parent.stop(client)


def test_a_lock_that_a_thread_of_the_parent_holds_is_free_in_the_child(parent: Parent) -> None:
    client = parent.client()
    client.send(masked(TEXT, "locked"))
    assert {client.frame(), client.frame()} == {Frame(TEXT, b"forked"), Frame(TEXT, b"from a thread")}
    parent.program.expect("child called")
    parent.program.expect("child sent False False")
    parent.still_serves(client)
    parent.stop(client)


def test_a_child_may_serve_on_its_own_whoever_waited_for_a_turn(parent: Parent) -> None:
    client = parent.client()
    client.send(masked(TEXT, "serve"))
    assert client.frame() == Frame(TEXT, b"forked")
    port = int(parent.program.expect(r"child serves (\d+)")[1])
    requests = 1000  # more than one turn's
    with RawClient(port) as other:
        other.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * requests)
        for _ in range(requests):
            other.read_head()
            assert other.read_body(5) == b"child"
    assert sorted(re.findall(r"(\w+) proceeded", parent.program.output)) == ["child", "parent"]
    parent.still_serves(client)
    parent.stop(client)


@pytest.mark.parametrize("way", EXECUTES)
def test_a_subprocess_costs_the_parent_nothing(parent: Parent, way: str) -> None:
    client = parent.client()
    for _ in range(3):
        client.send(masked(TEXT, way))
        assert client.frame() == Frame(TEXT, b"forked")
        assert parent.get(f"/{way}") == b"parent"
        parent.still_serves(client)
    parent.stop(client)


def test_a_childs_signals_are_its_own_again(parent: Parent) -> None:
    """``multiprocessing`` and others end their processes with SIGTERM."""
    client = parent.client()
    client.send(masked(TEXT, "terminate"))
    parent.program.expect("terminated with -15\n")
    assert client.frame() == Frame(TEXT, b"forked")
    parent.stop(client)


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="at its end, a child of a greenlet waits for its parent's main thread"
)
def test_a_child_may_leave_serve_forever(parent: Parent) -> None:
    client = parent.client()
    client.send(masked(TEXT, "exit"))
    parent.program.expect("exited with 3\n")
    assert client.frame() == Frame(TEXT, b"forked")
    parent.stop(client)


Expect = Callable[[str], re.Match[str]]

PREFORK = """
from gevent import monkey; monkey.patch_all()
import os, socket, gevent
from geventkws import ServiceRegistry, WebSocketServer
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
listener = socket.create_server(("127.0.0.1", 0))
server = WebSocketServer(listener, application, ServiceRegistry())
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        server.serve_forever()
        os._exit(7)
    children.append(child)
listener.close()
print(f"port {server.server_port} {children[0]} {children[1]}\\n", end="", flush=True)
waitpid = monkey.get_original("os", "waitpid")  # gevent's misses one of two that end together, at times
print("ended", [os.waitstatus_to_exitcode(waitpid(child, 0)[1]) for child in children], flush=True)
"""


@pytest.fixture
def expect(tmp_path: Path) -> Iterator[Expect]:
    """What waits until the program above has written something."""
    written = tmp_path / "written"  # a file: whoever lives on would keep the reader of a pipe waiting

    def expect(pattern: str) -> re.Match[str]:
        deadline = monotonic() + PATIENCE
        while not (found := re.search(pattern, written.read_text(), re.DOTALL)):
            assert monotonic() < deadline, f"expected {pattern!r} in:\n{written.read_text()}"
            gevent.sleep(0.01)
        return found

    with written.open("wb") as output:
        parent = subprocess.Popen(
            [sys.executable, "-u", "-c", PREFORK],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield expect
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


def test_a_server_that_is_started_in_each_child_serves_in_each(expect: Expect) -> None:
    port, *children = map(int, expect(r"port (\d+) (\d+) (\d+)\n").groups())
    expect("Listening.*Listening")  # before, a signal would end them without a word
    seen = set()
    for _ in range(200):
        with RawClient(port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            seen.add(int(re.findall(rb"\r\n\r\n(\d+)$", client.read_to_end())[0]))
    assert seen <= set(children)
    for child in children:
        os.kill(child, signal.SIGTERM)
    expect(r"ended \[7, 7\]")
