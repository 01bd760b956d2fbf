"""No flood holds up other clients, or the server's end: ``kinds`` has the floods, ``judge`` the limits.

``python -m tests.hostile.floods`` runs all of them, and shows the figures.
"""

from __future__ import annotations

import pytest

from tests.hostile.judge import LONGEST_WAIT, about_the_end, about_the_flood, about_the_waits, complaints
from tests.hostile.kinds import KINDS, MIXED, UNFAIR
from tests.hostile.scene import Outcome, Plan, Target, run, target
from tests.hostile.table import line

SECONDS = 0.5
PLANS = [
    *(Plan(name, 30, seconds=SECONDS) for name, kind in KINDS.items() if kind.rate is None),
    Plan("posts-unread-4M", 30, seconds=SECONDS),
    Plan("posts-read-4M", 8, tls=True, seconds=SECONDS),
    Plan("gets", 1, seconds=SECONDS),
    Plan("fragments", 1, tls=True, seconds=SECONDS),
    Plan(MIXED, 200, seconds=SECONDS),
    Plan(MIXED, 200, tls=True, seconds=SECONDS),
]


# While it waits for a process, gevent's subprocess sets timers shorter than libuv supports.
pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The server of this checkout, with the backend and event loop that the environment sets."""
    return target(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=PLANS, ids=str)
def outcome(request: pytest.FixtureRequest, server: Target) -> Outcome:
    return run(request.param, server)


def test_the_flood_is_one(outcome: Outcome) -> None:
    assert not (found := list(about_the_flood(outcome))), line("", outcome, found)


def test_nobody_beside_a_flood_waits_long(outcome: Outcome) -> None:
    assert not (found := list(about_the_waits(outcome))), line("", outcome, found)


def test_a_flood_does_not_hold_up_the_end(outcome: Outcome) -> None:
    assert not (found := list(about_the_end(outcome))), "\n".join((line("", outcome, found), outcome.log))


def test_without_a_flood_nobody_complains(server: Target) -> None:
    quiet = run(Plan("gets", 0, seconds=0.5), server)
    assert not (found := complaints(quiet)), line("", quiet, found)
    assert min(waits.rounds for waits in quiet.innocents.values()) > 10


def test_an_application_that_burns_two_seconds_in_one_call_is_noticed(server: Target) -> None:
    unfair = run(Plan(UNFAIR.name, 1, seconds=0.5), server)
    assert max(waits.longest for waits in unfair.innocents.values()) > LONGEST_WAIT
    assert list(about_the_waits(unfair))
