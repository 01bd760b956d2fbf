"""The live page, on two processes: what views and scripts publish, and what comes back after a cut."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from tests.clients.page import OpenBrowser, Page
from tests.programs import EXAMPLES, Cluster, Program, cluster, python
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.timeout(200)

MESSAGES = [str(number) for number in range(30)]

PLACE = """
const [offsets, done] = arguments;
import("/static/ordered.js").then(({ place }) => {
  const list = document.createElement("ol");
  for (const offset of offsets) place(list, offset, () => document.createElement("li"));
  done([...list.children].map(({ dataset }) => Number(dataset.offset)));
});
"""


class LivePage(Page):
    """What a person sees and does on the live page."""

    def log_in(self, name: str) -> None:
        """Log in and wait until all is there."""
        self.find("#name").send_keys(name, Keys.ENTER)
        self.wait(lambda: self.driver.find_elements("id", "state"), "the live page")
        self.expect_state("Online")

    def expect_state(self, text: str) -> None:
        """Wait until the page shows ``text`` as the state of its connection."""
        self.wait(lambda: self.text("#state-text") == text, f"the state {text!r}")

    def say(self, text: str) -> None:
        """Write a message and press Enter."""
        self.find("#text").send_keys(text, Keys.ENTER)

    def said(self) -> list[str]:
        """Return what was said, in the order of the page."""
        return self.texts("#messages .body")

    def readings(self) -> list[int]:
        """Return the numbers of the readings, in the order of the page."""
        return [int(text) for text in self.texts("#readings td:first-child")]

    def expect_said(self, *texts: str) -> None:
        """Wait until exactly this was said."""
        self.wait(lambda: self.said() == list(texts), f"{texts} as what was said")

    def expect_people(self, *names: str) -> None:
        """Wait until exactly these people are here."""
        self.wait(lambda: self.texts("#people li") == list(names), f"{names} as the people here")

    def expect_readings(self, count: int) -> None:
        """Wait until there are so many readings, or more: all from the first one to the last, once."""
        self.wait(lambda: len(self.readings()) >= count, f"{count} readings")
        readings = self.readings()
        assert readings == list(range(readings[0], readings[0] + len(readings)))

    def process(self) -> int:
        """Return the process that the page is connected to."""
        return int(str(self.find("#state").get_attribute("title")).removeprefix("to process "))


class Visitor:
    """Somebody without a browser, who has logged in."""

    def __init__(self, running: Cluster) -> None:
        self.url = f"http://{running.address}"
        self.session = requests.Session()
        assert self.post("login", name="Cem").status_code == 200

    def post(self, path: str, origin: str = "", **form: str) -> requests.Response:
        """Send a form, as one of the page or of a page elsewhere."""
        headers = {"Origin": origin or self.url}
        return self.session.post(f"{self.url}/{path}", form, headers=headers, timeout=PATIENCE)

    def say(self, text: str) -> None:
        """Say something once, however often that has to be tried."""
        wait_until(lambda: self._has_said(text))

    def _has_said(self, text: str) -> bool:
        with suppress(requests.ConnectionError):
            return self.post("say", text=text, key=text).status_code == 204
        return False


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    if not (EXAMPLES / "live" / "node_modules").is_dir():
        pytest.skip("examples/live has no node_modules: run `npm install` there")
    with cluster("live", "--workers", "2") as running:
        yield running


@pytest.fixture
def visitor(running: Cluster) -> Iterator[Visitor]:
    visitor = Visitor(running)
    yield visitor
    visitor.session.close()


def test_after_the_death_of_a_process_everything_is_there_once(
    running: Cluster, visitor: Visitor, open_browser: OpenBrowser
) -> None:
    ann, ben = (LivePage(open_browser(f"http://{running.address}/")) for _ in range(2))
    ann.log_in("Ann")
    ben.log_in("Ben")
    for page, other in ((ann, "Ben"), (ben, "Ann")):
        page.expect_people("You", other)
        page.expect_readings(2)
    ben.say("Hello")
    ann.expect_said("Hello")
    process = ann.process()
    for text in MESSAGES:
        visitor.say(text)
        if text == "9":
            os.kill(process, signal.SIGKILL)
    visitor.say(MESSAGES[-1])  # as somebody does who has got no answer
    ann.wait(lambda: ann.text("#caught-up"), "that it has come back")
    assert re.match(r"\d+ missed readings? ha(s|ve) come back|Nothing was missed", ann.text("#caught-up"))
    ann.expect_state("Online")
    for page in (ann, ben):
        page.expect_said("Hello", *MESSAGES)
        page.expect_readings(len(page.readings()) + 2)
    before = ann.readings()
    ann.driver.refresh()
    ann.expect_state("Online")
    ann.wait(lambda: ann.readings()[: len(before)] == before, "the same readings")
    ann.expect_said("Hello", *MESSAGES)


@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_fits_and_every_text_stands_out(
    running: Cluster, visitor: Visitor, open_browser: OpenBrowser, width: int
) -> None:
    page = LivePage(open_browser(f"http://{running.address}/", width))
    faint = page.faint_texts()
    page.log_in("A name of forty characters, not one more")
    visitor.say(f"{width} {'w' * 300}")
    page.say("<b>Hello</b>")
    page.wait(lambda: page.said()[-1:] == ["<b>Hello</b>"], "both messages")
    page.expect_readings(1)
    page.driver.execute_script("document.querySelector('details').open = true")
    for scheme in ("light", "dark"):
        page.choose_scheme(scheme)
        faint += page.faint_texts()
    assert faint == []
    assert page.scrolled_out_of_sight("html")[0] == page.scrolled_out_of_sight("#scroller")[0] == 0
    assert page.complaints() == []


def test_what_overlaps_and_comes_in_any_order_is_shown_once_in_order(
    running: Cluster, open_browser: OpenBrowser
) -> None:
    driver = open_browser(f"http://{running.address}/")
    assert driver.execute_async_script(PLACE, [8, 9, 1, 2, 8, 9, 10, 9]) == [1, 2, 8, 9, 10]


def test_who_logs_out_is_logged_out_on_all_pages_and_told_what_to_do(
    running: Cluster, open_browser: OpenBrowser
) -> None:
    page = LivePage(open_browser(f"http://{running.address}/"))
    page.log_in("Ann")
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.driver.get(f"http://{running.address}/")
    page.expect_state("Online")
    page.find(".account button").click()
    page.wait(lambda: page.driver.find_elements("id", "name"), "the page to log in on")
    page.driver.switch_to.window(first)
    page.wait(lambda: page.text("#state-text").startswith("The connection has ended"), "the end")
    page.say("Is anybody there?")
    page.wait(lambda: page.text("#text-problem") == "You are no longer logged in.", "why it is not said")
    page.find("#state a").click()
    page.wait(lambda: page.driver.find_elements("id", "name"), "the page to log in on")


def test_who_comes_back_without_a_session_is_asked_to_log_in(
    running: Cluster, open_browser: OpenBrowser
) -> None:
    page = LivePage(open_browser(f"http://{running.address}/"))
    page.log_in("Ann")
    page.driver.delete_all_cookies()
    os.kill(page.process(), signal.SIGKILL)
    page.expect_state("You are no longer logged in. Log in")
    page.find("#state a").click()
    page.wait(lambda: page.driver.find_elements("id", "name"), "the page to log in on")


def test_forms_of_other_sites_and_what_is_no_message_are_refused(visitor: Visitor) -> None:
    for path in ("login", "say", "logout"):
        assert visitor.post(path, origin="http://elsewhere.example", name="Eve", text="Hi").status_code == 403
    for text in ("", " ", "x" * 1001):
        assert visitor.post("say", text=text, key="k").status_code == 400
    for name in ("", "x" * 41, "a\u202eb"):
        answer = visitor.post("login", name=name)
        assert answer.status_code == 400
        assert "Please enter a name" in answer.text


def test_without_the_client_it_says_how_to_install_it(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "live", tmp_path / "live", ignore=shutil.ignore_patterns("node_modules"))
    command = (sys.executable, "-m", "geventkws", "serve", "server:app", "--app-dir", str(tmp_path / "live"))
    with Program(*command, "--bind", "127.0.0.1:0") as program:
        assert program.wait() == 1
    assert f"run `npm install` in {tmp_path / 'live'}" in program.output


def test_the_script_asks_for_the_redis_of_the_server() -> None:
    with Program(*python("live/publish.py"), env={"GEVENTKWS_REDIS": ""}) as program:
        assert program.wait() == 1
    assert program.output.startswith("Set GEVENTKWS_REDIS")
