"""Fixtures for all tests, and the rule that nothing is skipped in CI."""

from __future__ import annotations

# The servers under test run in this process, beside the blocking clients that connect to them.
from gevent import monkey

monkey.patch_all()

import gc
import os
import signal
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import gevent
import hypothesis
import pytest
from gevent.monkey import get_original

from tests import passes
from tests.backends import BACKENDS, Backend
from tests.helpers import FEED_MODES, Feed
from tests.programs import PYTHONPATH, ROOT
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.certificates import Certificates

Report = pytest.TestReport | pytest.CollectReport

# A background job of a script ignores Ctrl-C, and so would the programs that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# For the programs that the tests start.
os.environ["PYTHONPATH"] = PYTHONPATH

IN_CI = os.environ.get("CI") == "true"

# pytest has the time limit: how long one example takes under coverage means nothing.
hypothesis.settings.register_profile("geventkws", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
hypothesis.settings.load_profile("geventkws")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None]:
    """Let a worker of pytest-xdist start with native locks.

    The worker makes its queue, and coverage a lock, after the standard library has been patched above. Native
    threads use both: one listens to the controller, and all are traced. With gevent's locks, the hub would
    have to wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("threading.Lock", get_original("threading", "Lock"))
        yield
    for plugin in session.config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.torun = get_original("queue", "SimpleQueue")()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Return how many workers keep all cores at work: the tests wait about as long as they compute."""
    return 2 * (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and order the tests, whose names must not differ from run to run.

    The workers of pytest-xdist must agree on them.
    """
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} has an address in its name: give its parameters ids")
        passes.mark(item)
    items.sort(key=passes.order)


def pytest_collection_finish() -> None:
    """Exempt from garbage collection what pytest and the imports have made and will keep."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def native_functions_are_intended() -> None:
    """Let no server warn of the unpatched functions in the tests' modules, which use them on purpose.

    The warning would be in the log of whichever test serves first.
    """
    from geventkws.server import start_up

    start_up._warned.append("")


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """Find what has not been closed while it is still known which tests left it.

    Sockets, files and, with ``GEVENT_DEBUG``, gevent's watchers on libuv give a warning when they are
    collected, and warnings are errors: here, of the last test of the file.
    """
    yield
    gc.collect()


@pytest.fixture
def in_time() -> Iterator[None]:
    """End a test that waits for ever."""
    with gevent.Timeout(PATIENCE):
        yield


@pytest.fixture(params=BACKENDS, scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """The hot path of the protocol, once for each implementation."""
    return BACKENDS[request.param]


@pytest.fixture(params=FEED_MODES)
def chunked(request: pytest.FixtureRequest) -> Feed:
    """A function that cuts bytes as reads might: whole, byte by byte and in random chunks."""
    return FEED_MODES[request.param]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server certificate issued by it, and contexts for both sides."""
    from tests.certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def measured() -> Iterator[None]:
    """Let coverage measure the tests' programs, too, if it measures this process.

    For the tests of code that runs nowhere else: it takes half a second for each program. ``make test`` sets
    ``MEASURE_PROGRAMS``, to measure them in another pass than this process.
    """
    from coverage import Coverage

    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("MEASURE_PROGRAMS", "no" if Coverage.current() is None else "yes") == "yes":
            patch.setenv("COVERAGE_PROCESS_START", str(ROOT / "tests" / "programs.coveragerc"))
            patch.setenv("COVERAGE_FILE", str(ROOT / ".coverage"))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Report, Report]:
    return _no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Report, Report]:
    return _no_skip_in_ci((yield))


def _no_skip_in_ci(report: Report) -> Report:
    """CI installs every client, so a skip would hide that one is missing."""
    if IN_CI and report.skipped and isinstance(report.longrepr, tuple):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]} (in CI a skip is a failure)"
    return report
