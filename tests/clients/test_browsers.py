"""Browsers: each runs the checks of its pages by itself, over ws and wss, and reports what it found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from tests.certificates import Certificates
from tests.clients.browsers import BROWSERS, browser
from tests.clients.checks import BROWSER_CHECKS, Results, verify
from tests.clients.ground import SCHEMES, ground

PAGES = Path(__file__).parent / "browser"
BUNDLES = Path(__file__).parent / "node_modules" / "centrifuge" / "dist"
TYPES = {".html": "text/html", ".js": "text/javascript"}

AT_MOST = 75.0
"""Seconds that a browser may take for everything, including its start."""

# The first test of a browser waits for everything that it does.
pytestmark = pytest.mark.timeout(AT_MOST + 30)


class Site:
    """The WSGI application with the pages, which also receives their results."""

    def __init__(self) -> None:
        self._results: dict[str, AsyncResult[Any]] = {"checks": AsyncResult(), "travels": AsyncResult()}

    def results(self, stage: str) -> Results:
        """Wait for the results that a page sends to /results/<stage>."""
        return dict(self._results[stage].get() or {})

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "POST":
            self._results[path.removeprefix("/results/")].set(json.load(environ["wsgi.input"]))
            start_response("204 No Content", [])
            return []
        page = next(
            (one for folder in (PAGES, BUNDLES) if (one := folder / path.lstrip("/")).is_file()), PAGES
        )
        if page.parent not in (PAGES, BUNDLES) or page.suffix not in TYPES:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"There is no such page"]
        start_response("200 OK", [("Content-Type", f"{TYPES[page.suffix]}; charset=utf-8")])
        return [page.read_bytes()]


@dataclass(frozen=True)
class Report:
    """What a browser found, and what the server saw of it."""

    checks: Results
    travels: Results
    endings: list[int]


@pytest.fixture(scope="session", params=itertools.product(BROWSERS, SCHEMES), ids="-".join)
def report(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    cafile: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Report:
    """The report of a browser that has gone through all pages."""
    name, scheme = request.param
    directory = tmp_path_factory.mktemp(name)
    site = Site()
    with ExitStack() as stack:
        here = stack.enter_context(ground(scheme, certificates, cafile, site))
        stack.enter_context(browser(name, directory, cafile, f"{here.page_url}/page.html"))
        with suppress(TimeoutError), gevent.Timeout(AT_MOST, TimeoutError()):
            checks, travels = site.results("checks"), site.results("travels")
            endings = [here.ledger.wait(page)[0] for page in ("reload", "navigation")]
            return Report(checks, travels, endings)
    said = (directory / "output.txt").read_text(errors="replace")[-2000:]
    pytest.fail(f"{name} did not get through the pages over {scheme} in {AT_MOST:.0f} s. It said:\n{said}")


@pytest.mark.parametrize("check", BROWSER_CHECKS)
def test_a_browser_passes_the_check(report: Report, check: str) -> None:
    if check.startswith("centrifuge") and not BUNDLES.is_dir():
        pytest.skip("tests/clients has no node_modules: run `npm install` there")
    verify(report.checks, check)


def test_a_reload_and_a_navigation_are_seen_by_the_server_as_going_away(report: Report) -> None:
    assert report.travels == {"the_other_page": ""}
    assert report.endings == [1001, 1001]
