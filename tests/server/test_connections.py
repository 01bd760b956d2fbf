"""The table of a server's connections, and the clock that looks at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from geventkws.loop.loop import Loop
from geventkws.server.connections import LONGEST_INTERVAL, STEPS_PER_LIMIT, Connections
from tests.integration.conftest import Recorder, Serve
from tests.raw import upgrade_request
from tests.waiting import PATIENCE, wait_until


class Checked:
    """Stands for a channel with its owner: remembers when it was looked at."""

    def __init__(self, error: Exception | None = None) -> None:
        self.owner = SimpleNamespace(_check=self._check)
        self.times: list[float] = []
        self._error = error

    def _check(self, now: float) -> None:
        self.times.append(now)
        if self._error is not None:
            raise self._error


@pytest.fixture
def connections() -> Iterator[Any]:
    connections = Connections(Loop.current())
    yield connections
    connections.stop_clock()
    connections.stop_clock()


def test_a_connection_is_there_until_it_is_removed(connections: Any) -> None:
    channel = Checked()
    connections.add(channel)
    assert connections.peers == {channel: None}
    connections.peers[channel] = ("192.0.2.1", 5000)
    assert connections.remove(channel) == ("192.0.2.1", 5000)
    assert connections.remove(channel) is None
    assert not connections.peers


def test_all_descriptors_are_listed_of_connections_that_an_application_has_taken_too(serve: Serve) -> None:
    taken: Queue[Any] = Queue()
    go_on = Event()

    def application(environ, start_response):
        environ["geventkws.socket"].settimeout(PATIENCE)
        if environ["PATH_INFO"] == "/closed":
            environ["geventkws.socket"].close()
        taken.put(environ["geventkws.socket"].fileno())
        assert go_on.wait(PATIENCE)
        return []

    site = serve(application=application)
    for path, behind, others in ("/", b"", 1), ("/pumped", b"x", 3), ("/closed", b"", 3):
        site.connect(None).send(upgrade_request(path) + behind)
        descriptor = taken.get(timeout=PATIENCE)
        listed = list(site.server._connections.descriptors())
        assert len(listed) == others
        assert (descriptor in listed) == (path == "/")
    go_on.set()


def test_only_websockets_are_listed_as_such(serve: Serve) -> None:
    service = Recorder()
    site = serve(service)
    site.connect(None)
    site.connect()
    service.expect("connected")
    wait_until(lambda: len(site.server._connections.peers) == 2)
    assert site.server._connections.websockets == service.connections


def test_a_short_limit_makes_it_check_more_often_and_a_long_one_not_less_often(connections: Any) -> None:
    for limit, interval in ((None, LONGEST_INTERVAL), (60, LONGEST_INTERVAL), (4, 0.5), (2, 0.25), (4, 0.25)):
        connections.watch(limit)
        assert connections._interval == interval
    assert STEPS_PER_LIMIT * 0.25 == 2


def test_it_checks_all_with_the_same_time_even_if_one_fails(
    connections: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *failure: failures.append(failure[1]))
    failing, other = Checked(LookupError("a mistake")), Checked()
    connections.add(failing)
    connections.add(other)
    connections.watch(0.08)
    connections.start_clock()
    wait_until(lambda: len(other.times) >= 2)
    assert other.times[:2] == failing.times[:2]
    assert set(failures) == {LookupError}


def test_a_running_clock_can_be_made_faster(connections: Any) -> None:
    channel = Checked()
    connections.add(channel)
    connections.watch(8 * 3600)
    connections.start_clock()
    connections.watch(0.08)
    wait_until(lambda: channel.times)
    connections.stop_clock()
    count = len(channel.times)
    gevent.sleep(0.05)
    assert len(channel.times) == count
