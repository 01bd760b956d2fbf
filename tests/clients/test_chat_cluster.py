"""Two people chat in a browser each, while the processes that serve them are killed."""

from __future__ import annotations

import os
import signal

import pytest

from tests.clients.chat_page import ChatPage, OpenPage
from tests.programs import Cluster, cluster
from tests.waiting import PATIENCE

pytestmark = pytest.mark.timeout(300)

MESSAGES = 80
"""How many each of the two sends: fewer, in all, than the chat keeps for those who come back."""

STREAM = """
const [letter, count] = arguments;
const state = document.getElementById("state");
const input = document.getElementById("text");
let number = 0;
const timer = setInterval(() => {
  if (number === count) clearInterval(timer);
  else if (state.dataset.state === "open") {
    input.value = `${letter}${number++}`;
    document.getElementById("composer").requestSubmit();
  }
}, 20);
"""
"""Says what a person would, a little faster."""

SENT = "#messages .own:not([data-delivery]) .foot"


def texts(page: ChatPage) -> list[str]:
    """Return what the page shows, in its order."""
    return page.texts("#messages .body")


def wait_for(page: ChatPage, selector: str, count: int) -> None:
    """Wait until the page shows so many."""
    page.wait(lambda: len(page.texts(selector)) == count, f"{count} of {selector}")


def process_of(page: ChatPage) -> int:
    """Return the process that the page is connected to."""
    title = page.find("#state").get_attribute("title")
    assert title is not None
    return int(title.removeprefix("to process "))


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def chat_while_processes_die(running: Cluster, ann: ChatPage, ben: ChatPage) -> None:
    for page, letter in ((ann, "a"), (ben, "b")):
        page.driver.execute_script(STREAM, letter, MESSAGES)
    before = process_of(ben)
    ben.wait(lambda: len(texts(ben)) > MESSAGES // 4, "the first messages")
    kill(before)
    ben.wait(lambda: process_of(ben) != before, "another process")
    ben.wait(lambda: len(texts(ben)) > MESSAGES, "more messages")
    kill(running.process("redis-server"))
    for page in (ann, ben):
        wait_for(page, SENT, MESSAGES)


def test_what_was_sent_is_on_both_pages_once_and_in_order(open_page: OpenPage) -> None:
    with cluster() as running:
        ann, ben = open_page(running), open_page(running)
        ann.patience = ben.patience = 3 * PATIENCE  # for two browsers and processes that start meanwhile
        ann.join("Ann")
        ben.join("Ben")
        assert process_of(ann) != process_of(ben)
        chat_while_processes_die(running, ann, ben)
        sent = {f"{letter}{number}" for number in range(MESSAGES) for letter in "ab"}
        for page in (ann, ben):
            wait_for(page, "#messages .body", len(sent))
        assert set(texts(ann)) == sent
        assert texts(ann) == texts(ben)
        for letter in "ab":
            own = [text for text in texts(ann) if text.startswith(letter)]
            assert own == [f"{letter}{number}" for number in range(MESSAGES)]
        assert all(foot.endswith("Sent") for page in (ann, ben) for foot in page.texts(SENT))
        for page in (ann, ben):
            page.expect_people(*(("Ann", "Ben") if page is ann else ("Ben", "Ann")))
            assert "Some messages may be missing here" not in page.texts("#messages .notice")
