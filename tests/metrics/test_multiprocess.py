"""The metrics of several processes, through a directory: the multi-process mode of prometheus_client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
import requests
from prometheus_client.multiprocess import mark_process_dead

from tests.metrics.conftest import Scraped, scrape
from tests.programs import ROOT, Program
from tests.raw import TEXT, RawClient, close_frame, masked
from tests.waiting import PATIENCE

SERVER = """
from gevent import monkey; monkey.patch_all()
import os, sys
import gevent
from prometheus_client import Counter
from geventkws import ServiceRegistry, WebSocketServer, WebSocketService
from geventkws.metrics import Metrics

class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(message)

services = ServiceRegistry()
services.register(Echo(), "/echo")
metrics = Metrics("/metrics")
orders = Counter("shop_orders_total", "Orders")
for _ in range(int(sys.argv[1])):  # as a process manager that loads the application before it forks
    if not os.fork():
        break
else:
    if sys.argv[1] != "0":
        os.wait()
        sys.exit()
orders.inc()
server = WebSocketServer(("127.0.0.1", 0), None, services, metrics=metrics)
server.start()
print(f"port {server.server_port} of {os.getpid()}\\n", end="", flush=True)
server.serve_forever()
"""

ECHO = {"service": "/echo"}

Start = Callable[..., list[tuple[int, int]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program of this many processes, or a single one; returns the port and the id of each."""
    programs: list[Program] = []
    started: list[int] = []

    def begin(processes: int = 0) -> list[tuple[int, int]]:
        command = (sys.executable, "-c", SERVER, str(processes))
        programs.append(Program(*command, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}))
        found = [programs[-1].expect(r"port (\d+) of (\d+)\n") for _ in range(processes or 1)]
        started.extend(int(each[2]) for each in found)
        return [(int(each[1]), int(each[2])) for each in found]

    yield begin
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for program in programs:
        program.__exit__(None, None, None)
        assert "Traceback" not in program.output, program.output


def wait_for(port: int, expected: dict[str, float]) -> Scraped:
    """Ask until the metrics of the service have these values: another process writes once a second."""
    with gevent.Timeout(PATIENCE, AssertionError("the metrics have not become as expected")):
        while True:
            scraped = scrape(port)
            if all(scraped.get(name, **ECHO) == value for name, value in expected.items()):
                return scraped
            gevent.sleep(0.05)


def talk(port: int, messages: int) -> RawClient:
    client = RawClient(port, "/echo")
    client.send(masked(TEXT, "hello") * messages)
    for _ in range(messages):
        assert client.frame().payload == b"hello"
    return client


def test_each_process_answers_for_all(start: Start, tmp_path: Path) -> None:
    (first, _), (second, dying) = start(2)
    with talk(first, 3), talk(second, 4):
        both = {
            "websocket_connections": 2.0,
            "websocket_connections_opened_total": 2.0,
            "websocket_messages_received_total": 7.0,
            "websocket_messages_sent_total": 7.0,
            "websocket_sent_bytes_total": 49.0,
            "websocket_callback_duration_seconds_count": 9.0,
        }
        for port in (first, second):
            scraped = wait_for(port, both)
            # The labels of the build are the same everywhere, and it is one build.
            (build,) = scraped.families["geventkws_build_info"].samples
            assert build.value == 1
            assert "pid" not in build.labels
            assert scraped.families["shop_orders"].samples[0].value == 2
        # Both times it was this one connection.
        assert scrape(first).value("http_connections") >= 1
        os.kill(dying, signal.SIGKILL)
        mark_process_dead(dying, str(tmp_path))
        gone = {**both, "websocket_connections": 1.0}
        wait_for(first, gone)


def test_what_a_process_counts_last_is_written_when_it_stops(start: Start) -> None:
    ((staying, _),) = start()
    ((leaving, pid),) = start()
    with talk(leaving, 2) as client:
        os.kill(pid, signal.SIGTERM)
        assert client.close_code()[0] == 1001
        client.send(close_frame(1001))
        client.read_to_end()
    scraped = wait_for(
        staying,
        {
            "websocket_connections": 0.0,
            "websocket_connections_opened_total": 1.0,
            "websocket_messages_received_total": 2.0,
            "websocket_received_bytes_total": 2 * (6 + 5) + 8.0,
        },
    )
    assert scraped.value("websocket_connections_closed_total", **ECHO, code="1001") == 1


def test_the_names_and_kinds_are_those_of_one_process(start: Start) -> None:
    from geventkws.metrics.catalogue import FAMILIES

    ((port, _),) = start()
    with talk(port, 1) as client:
        client.send(close_frame(1000))
        client.read_to_end()
        scrape(port)
        families = scrape(port).families
    for family in FAMILIES:
        found = families[family.name.removesuffix("_total")]
        assert (found.type, found.documentation) == (family.kind, family.meaning)
        for sample in found.samples:
            assert set(sample.labels) - {"le"} == set(family.labels)


IN_TURN = """
import os
from geventkws.loop.durations import BOUNDS
from geventkws.metrics.catalogue import CALLBACKS, CONNECTIONS, OPENED
from geventkws.metrics.counts import Histogram, Reading
from geventkws.metrics.multiprocess import Writer, all_processes
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.values import close_all_multiprocess_files

def write(writer, number):
    counts = [number, 2 * number] + [0] * (len(BOUNDS) - 1)
    writer.write([
        Reading(OPENED, ("/a",), number),
        Reading(CONNECTIONS, ("/a",), number),
        Reading(CALLBACKS, ("/a",), Histogram(counts, float(number))),
    ])

first = Writer(CollectorRegistry())
write(first, 1)
write(first, 5)
write(first, 5)
# A later process, which happens to have the number of one that is gone.
write(Writer(CollectorRegistry()), 3)
print(generate_latest(all_processes()).decode())
"""


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_process_continues_where_a_former_one_with_its_id_ended(tmp_path: Path) -> None:
    done = run(IN_TURN, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    scraped = Scraped(done.stdout)
    labels = {"service": "/a"}
    assert scraped.value("websocket_connections_opened_total", **labels) == 8
    assert scraped.value("websocket_connections", **labels) == 3
    name = "websocket_callback_duration_seconds"
    assert scraped.value(f"{name}_count", **labels) == 24
    assert scraped.value(f"{name}_bucket", **labels, le="0.0001") == 8
    assert scraped.value(f"{name}_sum", **labels) == 8


FORKED = """
from gevent import monkey; monkey.patch_all()
import os, sys
import gevent
from geventkws import ServiceRegistry, WebSocketServer, WebSocketService
from geventkws.metrics import Metrics

class Forks(WebSocketService):
    def received(self, message, connection):
        if not os.fork():
            try:
                # Its hub runs, for longer than it takes until something is written.
                gevent.sleep(2.5)
                server = WebSocketServer(("127.0.0.1", 0), None, services, metrics=metrics)
                server.start()
                print("port", server.server_port, flush=True)
                server.serve_forever()
            finally:
                os._exit(1)
        connection.send(message)

services = ServiceRegistry()
services.register(Forks(), "/echo")
metrics = Metrics("/metrics")
server = WebSocketServer(("127.0.0.1", 0), None, services, metrics=metrics)
server.start()
print(f"port {server.server_port} of {os.getpid()}\\n", end="", flush=True)
server.serve_forever()
"""


def test_a_child_begins_at_zero_and_writes_nothing_of_its_parents(tmp_path: Path) -> None:
    command = (sys.executable, "-c", FORKED)
    with Program(*command, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}) as program:
        parent = int(program.expect(r"port (\d+) of \d+\n")[1])
        # What the parent has counted and not written is not the child's to write.
        assert requests.get(f"http://127.0.0.1:{parent}/nowhere", timeout=PATIENCE).status_code == 404
        with talk(parent, 1):
            child = int(program.expect(r"port (\d+)\n")[1])
            expected = {
                "websocket_connections": 1.0,
                "websocket_connections_opened_total": 1.0,
                "websocket_messages_received_total": 1.0,
            }
            wait_for(child, expected)
            gevent.sleep(1.2)
            scraped = wait_for(parent, expected)
            not_found = {"method": "GET", "status": "4xx"}
            assert scraped.value("http_request_duration_seconds_count", **not_found) == 1
        program.signal(signal.SIGTERM)
        os.kill(_child_of(program, tmp_path), signal.SIGKILL)
        program.wait()
    assert "Traceback" not in program.output


def _child_of(program: Program, directory: Path) -> int:
    """Return the id of the child: the other process that has written."""
    pids = {int(path.stem.rpartition("_")[2]) for path in directory.glob("*.db")}
    (child,) = pids - {program.pid}
    return child


def test_a_variable_that_is_set_too_late_is_reported() -> None:
    done = run(
        "import os, prometheus_client; os.environ['PROMETHEUS_MULTIPROC_DIR'] = '/tmp'\n"
        "from geventkws.metrics import Metrics; Metrics()"
    )
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: PROMETHEUS_MULTIPROC_DIR must be set before prometheus_client is imported: set it"
        " outside"
    )


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    missing = str(tmp_path / "metrics")
    done = run("from geventkws.metrics import Metrics; Metrics()", PROMETHEUS_MULTIPROC_DIR=missing)
    assert done.stderr.splitlines()[-1] == (
        f"ValueError: PROMETHEUS_MULTIPROC_DIR is {missing!r}, which is not a directory: make an empty one"
    )


def test_only_one_may_write_in_a_process(tmp_path: Path) -> None:
    program = "from geventkws.metrics import Metrics; Metrics(); Metrics()"
    done = run(program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert done.stderr.splitlines()[-1].endswith("one Metrics is enough for all servers of a process")
