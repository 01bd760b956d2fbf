"""SIGTERM and SIGINT, as ``docker stop``, systemd and Ctrl-C send them to a program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest

from geventkws import WebSocketServer
from tests.helpers import free_port, require_program
from tests.integration.conftest import Recorder, Serve
from tests.programs import ROOT, Program
from tests.raw import TEXT, RawClient, close_frame, masked
from tests.waiting import PATIENCE

pytestmark = pytest.mark.once  # its programs run on both event loops

LOOPS = ("libev-cext", "libuv")
BOTH = (signal.SIGTERM, signal.SIGINT)

HEAD = """
from gevent import monkey; monkey.patch_all()
import logging, os, signal, sys, threading, gevent
logging.basicConfig(format="%(message)s", level=logging.INFO)
from geventkws import WebSocket, WebSocketServer, WebSocketService
class Quiet(WebSocketService):
    def received(self, message, connection):
        print("working", flush=True)
        monkey.get_original("time", "sleep")(60)
WebSocket.register(Quiet(), "service")
server = WebSocketServer(("127.0.0.1", 0), stop_timeout=60)
"""
SERVE = HEAD + "server.serve_forever(); print('the end')"

each_loop = pytest.mark.parametrize("loop", LOOPS)
each_signal = pytest.mark.parametrize("number", BOTH)
each_once = pytest.mark.parametrize(("loop", "number"), list(zip(LOOPS, BOTH, strict=True)))
"""Both loops and both signals, for tests after the one that tries all pairs."""


@contextmanager
def serving(code: str, loop: str, *before: str) -> Iterator[tuple[Program, RawClient]]:
    """Run ``code`` and connect to its server."""
    with Program(*before, sys.executable, "-u", "-c", code, env={"GEVENT_LOOP": loop}) as program:
        port = int(program.expect(r"Listening on port (\d+)")[1])
        with RawClient(port, "/service") as client:
            yield program, client


def say_goodbye(program: Program, client: RawClient) -> None:
    assert client.close_code() == (1001, "")
    client.send(close_frame(1001))
    program.expect("the end")
    assert program.wait() == 0
    assert "Traceback" not in program.output
    assert "KeyboardInterrupt" not in program.output


@each_loop
@each_signal
def test_the_first_ends_everything_in_good_order(loop: str, number: signal.Signals) -> None:
    with serving(SERVE, loop) as (program, client):
        program.signal(number)
        say_goodbye(program, client)
        assert program.output.count("Stopped") == 1


@each_once
def test_a_second_ends_the_process_at_once(loop: str, number: signal.Signals) -> None:
    with serving(SERVE, loop) as (program, client):
        program.signal(signal.SIGTERM)
        assert client.close_code() == (1001, "")
        program.signal(number)
        assert program.wait() == -number
        assert "Traceback" not in program.output


@each_loop
def test_a_second_ends_a_program_that_is_stuck(loop: str) -> None:
    with serving(SERVE, loop) as (program, client):
        client.send(masked(TEXT, "work"))
        program.expect("working")
        program.signal(signal.SIGTERM)
        time.sleep(0.2)  # nothing shows that it has arrived, and two at once would count as one
        program.signal(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM


def inner_pid(program: Program) -> int:
    """Return the process that ``unshare`` has started."""
    outer = program._process.pid
    return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())


@pytest.fixture
def as_process_1() -> tuple[str, ...]:
    """The command that makes another process 1 of a container."""
    command = (require_program("unshare"), "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a PID namespace")
    return command


@each_once
def test_so_does_process_1_of_a_container(
    loop: str, number: signal.Signals, as_process_1: tuple[str, ...]
) -> None:
    """For process 1, the kernel does not carry out a signal's default action."""
    with serving(f"{SERVE}; assert os.getpid() == 1", loop, *as_process_1) as (program, client):
        os.kill(inner_pid(program), number)
        say_goodbye(program, client)


@each_loop
def test_a_second_ends_process_1_too(loop: str, as_process_1: tuple[str, ...]) -> None:
    with serving(SERVE, loop, *as_process_1) as (program, client):
        os.kill(inner_pid(program), signal.SIGTERM)
        assert client.close_code() == (1001, "")
        os.kill(inner_pid(program), signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM


OWN_HANDLERS = {
    "of the standard library": "signal.signal({0}, lambda *args: print('mine'))",
    "of gevent": "gevent.signal_handler({0}, print, 'mine')",
}


@each_once
@pytest.mark.parametrize("kind", OWN_HANDLERS)
def test_a_handler_of_the_programs_own_is_left_alone(loop: str, number: signal.Signals, kind: str) -> None:
    other = BOTH[number == signal.SIGTERM]
    code = HEAD + OWN_HANDLERS[kind].format(f"signal.{number.name}")
    with serving(f"{code}\nserver.serve_forever(); print('the end')", loop) as (program, client):
        for _ in range(2):
            program.signal(number)
            program.expect("mine")
        program.signal(other)  # the handler for which is still ours
        say_goodbye(program, client)


@each_loop
def test_a_signal_that_is_ignored_stays_so(loop: str) -> None:
    code = HEAD + "for each in (signal.SIGTERM, signal.SIGINT): signal.signal(each, signal.SIG_IGN)\n"
    with serving(f"{code}\nserver.serve_forever()", loop) as (program, client):
        for number in BOTH:
            program.signal(number)
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")


@each_loop
def test_the_first_ends_all_servers(loop: str) -> None:
    two = "\ntwo = WebSocketServer(('127.0.0.1', 0))\ngevent.joinall([gevent.spawn(two.serve_forever), "
    with serving(f"{HEAD}{two} gevent.spawn(server.serve_forever)])\nprint('the end')", loop) as (
        program,
        client,
    ):
        program.expect("Listening")
        program.signal(signal.SIGTERM)
        say_goodbye(program, client)
        assert program.output.count("Stopped") == 2


AT_ANY_MOMENT = (
    HEAD
    + """
from geventkws.server import signals

def end_at(line):
    # Serve, and be sent a signal at one of the lines that take and give back the handlers.
    passed = 0
    def trace(frame, event, argument):
        nonlocal passed
        if frame.f_code.co_filename != signals.__file__:
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGTERM)
        return trace
    signal.alarm(10)
    # Its turn comes when the server waits. Who was sent the signal has nothing else to end it.
    gevent.spawn(lambda: passed < line and server.stop())
    sys.settrace(trace)
    server.serve_forever()
    sys.settrace(None)
    os._exit(line > passed)

line, outcome = 0, 0
while outcome in (0, -signal.SIGTERM):
    line += 1
    if not os.fork():
        end_at(line)
    outcome = os.waitstatus_to_exitcode(monkey.get_original("os", "waitpid")(-1, 0)[1])
print("after", line, "lines", outcome)
"""
)


@each_loop
def test_the_first_is_never_lost(loop: str) -> None:
    with Program(sys.executable, "-u", "-c", AT_ANY_MOMENT, env={"GEVENT_LOOP": loop}) as program:
        after, outcome = map(int, program.expect(r"after (\d+) lines (-?\d+)").groups())
    assert outcome == 1, "after this line, it did not end"
    assert after > 20


def test_handlers_are_given_back(serve: Serve) -> None:
    site = serve(Recorder())
    before = [signal.getsignal(number) for number in BOTH]
    forever = gevent.spawn(site.server.serve_forever)
    gevent.sleep(0)
    assert all(callable(signal.getsignal(number)) for number in BOTH)
    assert not {*before} & {signal.getsignal(number) for number in BOTH}
    os.kill(os.getpid(), signal.SIGTERM)
    forever.get(timeout=PATIENCE)
    assert [signal.getsignal(number) for number in BOTH] == before


def test_what_the_program_sets_meanwhile_it_keeps(serve: Serve) -> None:
    site = serve(Recorder())
    before = signal.getsignal(signal.SIGTERM)
    forever = gevent.spawn(site.server.serve_forever)
    gevent.sleep(0)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        site.server.stop()
        forever.get(timeout=PATIENCE)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_signals_are_not_touched() -> None:
    server = WebSocketServer(("127.0.0.1", 0))
    pool = gevent.get_hub().threadpool

    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in BOTH]

    def serve_until_stopped() -> list[object]:
        server.start()
        seen = gevent.spawn(handlers)  # it runs while the server is waited for
        gevent.spawn_later(0.01, server.stop)
        server.serve_forever()
        return seen.get()

    before = handlers()
    assert pool.spawn(serve_until_stopped).get(timeout=PATIENCE) == before


PROGRAMS = {
    f"{path} {number}": block
    for path in ("README.md", "docs/tutorial.md")
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL), start=1
    )
    if "serve_forever" in block and "class ChatService" in block
}
"""The complete programs in the documentation."""


@each_loop
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_documentation_is_safe_to_stop(loop: str, name: str) -> None:
    port = free_port()
    code = "import logging; logging.basicConfig(level=logging.INFO)\n" + PROGRAMS[name]
    assert "8080" in code
    code = code.replace("8080", str(port)) + "\nprint('the end')"
    with Program(sys.executable, "-u", "-c", code, env={"GEVENT_LOOP": loop}) as program:
        program.expect("Listening on port")
        with RawClient(port, "/chat") as client:
            program.signal(signal.SIGTERM)
            say_goodbye(program, client)


def test_the_documentation_has_such_programs() -> None:
    assert {name.split()[0] for name in PROGRAMS} == {"README.md", "docs/tutorial.md"}
