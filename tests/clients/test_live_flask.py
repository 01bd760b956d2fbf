"""The program of the page on live Flask applications, as its readers see it in a browser."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from tests.clients.page import OpenBrowser, Page
from tests.docs.examples import first_example_of
from tests.helpers import free_port
from tests.programs import Program
from tests.waiting import PATIENCE

BUNDLE = Path(__file__).parent / "node_modules" / "centrifuge" / "dist" / "centrifuge.js"
CODE = first_example_of("docs/how-to/centrifuge.md").code


@contextmanager
def program(folder: Path, port: int) -> Iterator[Program]:
    """Run the program, which Ctrl-C ends."""
    (folder / "live.py").write_text(CODE.replace("8080", str(port)))
    with Program(sys.executable, "-u", "live.py", cwd=folder) as running:
        running.expect("Listening on port")
        yield running
        running.signal(signal.SIGINT)
        running.wait()
    assert "Traceback" not in running.output, running.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the client where the page says that it is."""
    if not BUNDLE.is_file():
        pytest.skip("tests/clients has no node_modules: run `npm install` there")
    (tmp_path / "static").mkdir()
    shutil.copy(BUNDLE, tmp_path / "static")
    return tmp_path


def test_it_has_as_many_lines_as_the_page_says() -> None:
    assert len(CODE.splitlines()) == 60


def test_a_page_shows_what_was_said_and_goes_on_when_the_program_is_back(
    folder: Path, open_browser: OpenBrowser
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with program(folder, port), requests.Session() as other:
        other.post(f"{url}/login", {"user": "ben"}, timeout=PATIENCE)
        for number in range(110):
            other.post(f"{url}/say", {"text": str(number)}, timeout=PATIENCE)
        page = Page(open_browser(url))
        page.find("input").send_keys("ann", Keys.ENTER)
        kept = [f"ben: {number}" for number in range(10, 110)]
        page.wait(lambda: page.texts("#said") == ["\n".join(kept)], "what the history keeps")
        page.find("input").send_keys("Hello", Keys.ENTER)
        page.wait(lambda: page.texts("#said") == ["\n".join([*kept, "ann: Hello"])], "what is said")
    with program(folder, port), requests.Session() as other:
        other.post(f"{url}/login", {"user": "ben"}, timeout=PATIENCE)
        other.post(f"{url}/say", {"text": "Hello again"}, timeout=PATIENCE)
        page.wait(lambda: page.texts("#said") == ["ben: Hello again"], "what is said now")
