"""The chat on several processes: they are one chat, and nothing that was confirmed is lost when they die."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
import websocket

from tests.helpers import require_program
from tests.programs import Cluster, Program, cluster, python
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.once  # its programs are those of a user, whatever they run on

MESSAGES = 100
"""How many each member sends: fewer, in all, than the chat keeps for those who come back."""


class Member:
    """What the chat's page does, without the page: comes back, and sends again what is not confirmed."""

    def __init__(self, address: str, nick: str) -> None:
        self.texts: list[str] = []
        """What is on the page, in the order of the room."""
        self.places: set[tuple[str, int]] = set()
        """Each message with its offset in the room: more than one, if it was published more than once."""
        self.confirmed: set[str] = set()
        self.process = 0
        self.joins = 0
        self._url = f"ws://{address}/chat/test"
        self._nick = nick
        self._unconfirmed: dict[str, None] = {}
        self._position: Any = None
        self._socket: websocket.WebSocket | None = None
        self._greenlet = gevent.spawn(self._stay)

    def leave(self) -> None:
        self._greenlet.kill()

    def say(self, text: str) -> None:
        """Send a message, whose text is also its key."""
        self._unconfirmed[text] = None
        if self._socket is not None:
            self._transmit(text)

    def _transmit(self, text: str) -> None:
        with suppress(OSError, websocket.WebSocketException):  # we find out when we read
            assert self._socket is not None
            self._socket.send(json.dumps({"type": "message", "text": text, "key": text}))

    def _stay(self) -> None:
        while True:
            with suppress(OSError, websocket.WebSocketException), ExitStack() as stack:
                connection = websocket.create_connection(
                    self._url, timeout=PATIENCE, subprotocols=["chat.json"]
                )
                stack.callback(connection.shutdown)
                self._converse(connection)
            self._socket = None
            gevent.sleep(0.05)

    def _converse(self, connection: websocket.WebSocket) -> None:
        join = {"type": "join", "nick": self._nick, "session": self._nick, "since": self._position}
        connection.send(json.dumps(join))
        early: list[dict[str, Any]] = []
        while said := connection.recv():
            fields = json.loads(said)
            if fields["type"] == "welcome":
                self._enter(fields, early)
                self._socket = connection
                for text in list(self._unconfirmed):
                    self._transmit(text)
            elif self._socket is None:
                early.append(fields)
            else:
                self._take(fields)

    def _enter(self, welcome: dict[str, Any], early: list[dict[str, Any]]) -> None:
        self.joins += 1
        self.process = welcome["process"]
        self.places |= {(one["key"], one["position"][0]) for one in welcome["history"]}
        new = [one["key"] for one in welcome["history"] if one["key"] not in self.texts]
        if self.texts and welcome["history"]:
            assert len(new) < len(welcome["history"]), "messages are missing"
        self.texts += new
        self._position = welcome["position"]
        for fields in early:
            self._take(fields)

    def _take(self, fields: dict[str, Any]) -> None:
        if fields["type"] == "sent":
            self.confirmed.add(fields["key"])
            self._unconfirmed.pop(fields["key"], None)
        elif fields["type"] == "message":
            self._position = fields["position"]
            self.places.add((fields["key"], fields["position"][0]))
            if fields["key"] not in self.texts:
                self.texts.append(fields["key"])


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def members(running: Cluster) -> Iterator[list[Member]]:
    """Two who are in the same room, and connected to different processes."""
    members = [Member(running.address, nick) for nick in ("ann", "ben")]
    wait_until(lambda: all(member.joins for member in members))
    yield members
    for member in members:
        member.leave()


def test_the_processes_are_one_chat(running: Cluster, members: list[Member]) -> None:
    ann, ben = members
    workers = {running.process(f"worker-{number}") for number in (1, 2, 3)}
    assert ann.process != ben.process
    assert {ann.process, ben.process} < workers
    ann.say("hello")
    wait_until(lambda: "hello" in ben.texts)
    assert requests.get(f"http://{running.address}/", timeout=PATIENCE).status_code == 200
    assert requests.get(f"http://{running.address}/rooms", timeout=PATIENCE).json() == {"test": 2}


def test_nothing_that_was_confirmed_is_lost(running: Cluster, members: list[Member]) -> None:
    ann, ben = members
    for number in range(MESSAGES):
        for member, letter in ((ann, "a"), (ben, "b")):
            member.say(f"{letter}{number}")
        if number == MESSAGES // 4:
            os.kill(ben.process, signal.SIGKILL)
        if number == MESSAGES // 2:
            wait_until(lambda: ben.joins == 2)
            os.kill(running.process("redis-server"), signal.SIGKILL)
        gevent.sleep(0.01)
    sent = {f"{letter}{number}" for number in range(MESSAGES) for letter in "ab"}
    wait_until(lambda: ann.confirmed | ben.confirmed >= sent)
    wait_until(lambda: sent <= set(ann.texts) and sent <= set(ben.texts))
    assert ann.texts == ben.texts
    assert len(ann.texts) == len(set(ann.texts))
    places = sorted(text for text, _ in ann.places | ben.places if text in sent)
    assert places == sorted(sent), "each is published once"
    for letter in "ab":
        own = [text for text in ann.texts if text.startswith(letter)]
        assert own == [f"{letter}{number}" for number in range(MESSAGES)]
    assert ann.joins > 1, "after the end of Redis, all come back"


def test_whatever_is_killed_is_started_again(running: Cluster) -> None:
    for name in ("worker-1", "redis-server", "haproxy"):
        process = running.process(name)
        os.kill(process, signal.SIGKILL)
        running.expect(rf"{name} +process {process} +was killed by signal 9: starting it again\n")
        running.expect(rf"{name} +process \d+ ", 3 * PATIENCE)
    assert requests.get(f"http://{running.address}/", timeout=PATIENCE).status_code == 200


def test_without_haproxy_gunicorn_shares_its_socket() -> None:
    with cluster("--balancer", "gunicorn") as running:
        url = f"http://{running.address}/"  # gunicorn listens before its workers are there
        assert requests.get(url, timeout=3 * PATIENCE).status_code == 200
        member = Member(running.address, "ann")
        wait_until(lambda: member.joins)
        os.kill(member.process, signal.SIGKILL)
        member.say("hello")
        wait_until(lambda: member.texts == ["hello"])
        assert member.joins == 2
        member.leave()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_even_while_it_starts(number: signal.Signals) -> None:
    require_program("redis-server")
    with Cluster() as starting:
        (process,) = starting.expect(r"redis-server +process (\d+)").groups()
        starting.signal(number)
        assert starting.wait() == 0
    assert not Path(f"/proc/{process}").exists()


def test_a_port_that_is_taken_gets_one_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with Program(*python("cluster/cluster.py"), "--port", port) as program:
            assert program.wait() == 1
    assert program.output == (
        f"cluster.py: cannot listen on port {port}: Address already in use; choose another one with PORT=\n"
    )


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with Program(*python("cluster/cluster.py"), "--port", port) as program:
        assert program.wait() == 2
    assert f"a port is a number from 1 to 65535, not '{port}'" in program.output


def test_without_redis_it_says_how_to_install_it(tmp_path: Path) -> None:
    with Program(*python("cluster/cluster.py"), env={"PATH": str(tmp_path), "PORT": "8399"}) as program:
        assert program.wait() == 1
    assert "redis-server is not installed" in program.output
    assert "apt-get install redis-server" in program.output
