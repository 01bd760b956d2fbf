"""Processes of every kind that use channels: forked ones, unpatched ones, those with several threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geventkws.pubsub import PubSub
from tests.programs import ROOT
from tests.pubsub.conftest import Connect, RedisServer
from tests.waiting import PATIENCE, wait_until

PATCHED = "from gevent import monkey; monkey.patch_all()"
STATUS_OF = """
def status_of(child):
    try:  # the real one: gevent's does not see all children on libuv
        return monkey.get_original("os", "waitpid")(child, 0)[1]
    except ChildProcessError:  # gevent has seen it already, while its loop ran
        return os.waitpid(child, 0)[1]
"""


def run(folder: Path, url: str, code: str, first: str = "") -> str:
    """Run a program, whose channels are ``pubsub``, and return what it prints."""
    program = folder / "program.py"
    lines = (
        first,
        "import os, sys, threading",
        "from gevent import monkey",
        "from geventkws.pubsub import PubSub",
        STATUS_OF,
        f"pubsub = PubSub({url!r})",
        code,
    )
    program.write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_program_that_patches_nothing_may_publish_but_not_listen(
    own_redis: RedisServer, heard: list[str], tmp_path: Path
) -> None:
    run(tmp_path, own_redis.url, "pubsub.publish('news', 'hello')")
    wait_until(lambda: heard == ["hello"])
    code = "try: pubsub.listen('news', print)\nexcept RuntimeError as error: print(error)"
    assert "must be patched" in run(tmp_path, own_redis.url, code)


@pytest.fixture
def heard(own_redis: RedisServer) -> Iterator[list[str]]:
    """What is published on ``news``."""
    heard: list[str] = []
    pubsub = PubSub(own_redis.url)
    pubsub.listen("news", lambda publication: heard.append(str(publication.message)))
    yield heard
    pubsub.close()


FORKED = """
from geventkws.pubsub import Position

pubsub.configure("*", history_size=1000)

def publish(message):
    offset, epoch = pubsub.publish("news", message)
    (found,) = pubsub.history("news", Position(offset - 1, epoch), limit=1)
    if found.message != message:
        print("the answer was that to", found.message)
        os._exit(1)

publish("before")
children = []
for name in "ab":
    child = os.fork()
    if not child:
        for number in range(50):
            publish(f"{name} {number}")
        os._exit(0)
    children.append(child)
for number in range(50):
    publish(f"parent {number}")
for child in children:
    status = status_of(child)
    if status:
        sys.exit(f"a child has ended with {status}")
"""
"""As task queues do: the parent has published, and then each child does, on a connection of its own."""


@pytest.mark.parametrize("first", ["", PATCHED], ids=["unpatched", "patched"])
def test_forked_processes_publish_beside_their_parent(
    own_redis: RedisServer, heard: list[str], tmp_path: Path, first: str
) -> None:
    run(tmp_path, own_redis.url, FORKED, first)
    wait_until(lambda: len(heard) == 151)
    for name in ("a", "b", "parent"):
        own = [message for message in heard if message.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(50)]


LISTENING = """
import gevent
from gevent.event import Event

def hear(name):
    heard, done = [], Event()
    def note(publication):
        heard.append(publication.message)
        if publication.message == "end":
            done.set()
    return pubsub.listen("news", note), heard, done

_, heard, done = hear("parent")
nodes = {node.id for node in pubsub.nodes()}
child = os.fork()
listener, own, own_done = hear("child") if not child else (None, heard, done)
if child:
    while len(pubsub.nodes()) < 2:
        gevent.sleep(0.01)
    while pubsub.channels() != {"news": 2}:
        gevent.sleep(0.01)
    pubsub.publish("news", "hello")
    pubsub.publish("news", "end")
if not own_done.wait(PATIENCE):
    sys.exit("nothing heard")
status = status_of(child) if child else 0  # both lines at once could mix
print("parent" if child else "child", own, flush=True)
if child:
    sys.exit(status)
pubsub.close()
os._exit(0)
""".replace("PATIENCE", str(PATIENCE))


def test_a_forked_process_listens_as_a_node_of_its_own(own_redis: RedisServer, tmp_path: Path) -> None:
    said = run(tmp_path, own_redis.url, LISTENING, PATCHED)
    assert sorted(said.splitlines()) == ["child ['hello', 'end']", "parent ['hello', 'end']"]


IN_MEMORY = """
from geventkws import WebSocketService
from geventkws.testing import connect

class Quiet(WebSocketService):
    def received(self, message, connection): pass

pubsub = PubSub()
pubsub.configure("*", presence=True)
with connect(Quiet()) as ann:
    pubsub.subscribe(ann.connection, "news", "Ann")
    child = os.fork()
    if not child:
        pubsub.publish("news", "from the child")
        print("child", pubsub.channels(), pubsub.presence("news"), flush=True)
        os._exit(0)
    assert not status_of(child)
    pubsub.publish("news", "from the parent")
    print("parent", ann.receive(), len(pubsub.presence("news")))
"""


def test_the_subscribers_of_a_process_are_not_those_of_its_children(tmp_path: Path) -> None:
    said = run(tmp_path, "redis://unused", IN_MEMORY, PATCHED)
    assert said.splitlines() == ["child {} {}", "parent from the parent 1"]


THREADS = """
def publish(name):
    for number in range(20):
        pubsub.publish("news", f"{name} {number}")

threads = [threading.Thread(target=publish, args=(name,)) for name in "ab"]
for thread in threads: thread.start()
publish("main")
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("first", ["", PATCHED], ids=["unpatched", "patched"])
def test_threads_of_a_program_without_a_server_publish(
    own_redis: RedisServer, heard: list[str], tmp_path: Path, first: str
) -> None:
    run(tmp_path, own_redis.url, THREADS, first)
    wait_until(lambda: len(heard) == 60)
    for name in ("a", "b", "main"):
        own = [message for message in heard if message.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(20)]


def test_the_acl_of_the_documentation_is_enough_and_no_more_than_that(
    own_redis: RedisServer, client: Connect
) -> None:
    page = (ROOT / "docs" / "topics" / "pubsub.md").read_text("utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("user chat ")]
    own_redis.ask("ACL", "SETUSER", *line.split()[1:])
    url = own_redis.url.replace("unix://", "unix://chat:secret@")
    pubsub = PubSub(url)
    pubsub.configure("room:*", history_size=5, presence=True)
    ann = client()
    pubsub.identify(ann.connection, "ann")
    pubsub.subscribe(ann.connection, "room:lobby", "Ann")
    since = pubsub.publish("room:lobby", "hello")
    pubsub.publish("room:lobby", "again", key="1")
    assert [ann.receive() for _ in range(2)] == ["hello", "again"]
    assert len(pubsub.history("room:lobby", since)) == 1
    assert pubsub.presence("room:lobby") == {ann.connection.id: "Ann"}
    assert pubsub.channels() == {"room:lobby": 1}
    wait_until(lambda: len(pubsub.nodes()) == 1)
    pubsub.unsubscribe("ann", "room:lobby")
    wait_until(lambda: pubsub.presence("room:lobby") == {})
    pubsub.close()
    denied = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in own_redis.ask("ACL", "LOG")]
    # redis-py says its version, if it may; servers before Redis 7.2 do not know the command.
    assert {entry[b"object"] for entry in denied} <= {b"client|setinfo"}
