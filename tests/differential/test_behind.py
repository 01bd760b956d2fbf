"""Behind proxies: what is wrong is noticed, and nothing is wrong with some mutants.

``python -m tests.differential`` tries thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.behind import Passage, faults
from tests.differential.fronts import FRONTS, Entry, front
from tests.differential.mutations import mutants
from tests.differential.ours import Read, ours
from tests.differential.subjects import SUBJECTS

# While it waits for a process, gevent's subprocess sets timers shorter than libuv supports.
pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")

SEED, MANY = 1, 100

GOOD = Entry("5000-1", "200 --", "5000-1 POST 6162")
READ = Read("5000-1", b"ab")
OPEN = Entry("5001-2", "101 --", "-")


@pytest.mark.parametrize(
    ("entries", "requests", "opened", "what"),
    [
        ([GOOD, OPEN], [READ], ["5001-2"], None),
        ([GOOD], [READ, Read("", b"")], [], "not passed on as one"),
        ([GOOD], [READ, Read("5000-1, 5000-1", b"")], [], "not passed on as one"),
        ([GOOD], [READ], [""], "opened, but not passed on"),
        ([GOOD], [READ, READ], [], "read 2 times"),
        ([GOOD], [Read("5000-1", b"GET / HTTP/1.1\r\nX-Passed-On: 5000-2")], [], "read as one"),
        ([GOOD], [Read("5000-1", b"\r\nx-passed-on: 5000-2", finished=False)], [], "read as one"),
        ([GOOD, Entry("5000-2", "200 --", GOOD.read)], [READ], [], "answered by what was read of another"),
        ([Entry("5000-1", "504 sH", "-")], [READ], [], "not answered"),
        ([Entry("5000-1", "502", "")], [], [], "not answered"),
        ([Entry("5000-1", "504 sH", "-")], [Read("5000-1", b"a", finished=False)], [], None),
        ([Entry("5000-1", "400 --", "-"), Entry("5000-2", "-1 CR", "-")], [], [], None),
        ([OPEN], [], [], "the handshake is not"),
        ([Entry("5001-2", "400 --", "-")], [], ["5001-2"], "the handshake is not"),
    ],
)
def test_a_fault_is_noticed(
    entries: list[Entry], requests: list[Read], opened: list[str], what: str | None
) -> None:
    found = [fault.what for fault in faults(entries, requests, opened)]
    assert len(found) == (what is not None)
    assert what is None or what in found[0]


def test_what_was_read_in_excess_is_the_fault_of_what_came_before_it() -> None:
    other, excess = Entry("5001-2", "200 --", "5001-2 GET"), Read("", b"", connection="1")
    requests = [READ._replace(connection="1"), Read("5001-2", b"", connection="2"), excess, excess]
    assert [fault.passed_on for fault in faults([GOOD, other], requests, [])] == ["5000-1"] * 2


@pytest.fixture(params=FRONTS)
def passage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Passage]:
    with (
        ours(spool_chunked=False) as server,
        front(request.param, tmp_path / "proxy", server.port) as proxy,
    ):
        yield Passage(proxy, server)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_passed_on_once_is_read_once(passage: Passage, subject: str) -> None:
    some = list(mutants(SUBJECTS[subject].through_proxies, SEED, range(MANY)))
    assert list(passage.findings(some)) == []
