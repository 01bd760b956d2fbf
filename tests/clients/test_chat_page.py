"""The chat's page in Chromium: what a person may encounter besides plain conversation."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import websocket
from selenium.webdriver.common.keys import Keys

from tests.clients.chat_page import OpenPage
from tests.helpers import free_port
from tests.programs import Server, server
from tests.waiting import PATIENCE

MARKUP = "<img src=x onerror=\"document.title='broken'\"> <b>bold</b> &amp; <script>alert(1)</script>"
WORDS = " ".join(["words"] * 20)


@pytest.mark.parametrize("width", [375, 1200])
def test_what_people_type_is_text_at_any_width(chat: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(chat, width)
    page.join("<i>Ann</i>")
    other = websocket.create_connection(f"ws://{chat.address}/chat", timeout=PATIENCE)
    other.send(MARKUP)
    other.send("w" * 300)
    page.expect_message("guest-1", MARKUP)
    page.expect_message("guest-1", "w" * 300)
    page.say(MARKUP)
    assert other.recv() == f"<i>Ann</i>: {MARKUP}"
    other.close()
    page.expect_people("<i>Ann</i>")
    assert page.driver.title == "Chat: lobby"
    assert page.driver.execute_script("return document.querySelector('#chat :is(img, b, i, script)')") is None
    assert page.driver.execute_script("return document.documentElement.scrollWidth") == width
    sideways = "const s = document.getElementById('scroller'); return s.scrollWidth - s.clientWidth"
    assert page.driver.execute_script(sideways) == 0
    assert page.complaints() == []


def send_from_a_terminal(chat: Server, texts: Iterable[str]) -> None:
    other = websocket.create_connection(f"ws://{chat.address}/chat", timeout=PATIENCE)
    for text in texts:
        other.send(text)
    other.close(timeout=PATIENCE)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_only_the_messages_scroll_however_many_they_are(
    chat: Server, open_page: OpenPage, width: int
) -> None:
    page = open_page(chat, width)
    assert page.scrolled_out_of_sight("html") == (0, 0)
    page.join("Ann")
    assert page.scrolled_out_of_sight("html") == (0, 0)
    for first, last in ((1, 5), (6, 200)):
        send_from_a_terminal(chat, (f"{number}: {WORDS}" for number in range(first, last + 1)))
        page.expect_message("guest-1" if first == 1 else "guest-2", f"{last}: {WORDS}")
        assert len(page.conversation()) == last
        assert page.scrolled_out_of_sight("html") == (0, 0)
    assert page.scrolled_out_of_sight("#scroller")[1] > 0
    assert page.find("#text").is_displayed()
    page.driver.execute_script("window.scrollTo(0, 1000)")
    assert page.driver.execute_script("return window.scrollY") == 0


def test_the_button_to_the_newest_message_stays_above_a_long_draft(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat, width=390)
    page.join("Ann")
    send_from_a_terminal(chat, map(str, range(50)))
    page.expect_message("guest-1", "49")
    page.driver.execute_script("document.getElementById('scroller').scrollTop = 0")
    page.write((Keys.SHIFT + Keys.ENTER + Keys.SHIFT) * 12)
    send_from_a_terminal(chat, ["news"])
    page.wait(lambda: page.find("#newest").is_displayed(), "that there are new messages")
    button, composer = page.find("#newest").rect, page.find("#composer").rect
    assert button["y"] + button["height"] <= composer["y"]
    page.find("#newest").click()
    page.wait(lambda: not page.find("#newest").is_displayed(), "the newest message")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(chat: Server, open_page: OpenPage, scheme: str) -> None:
    page = open_page(chat)
    page.choose_scheme(scheme)
    page.enter("guest-7")
    page.wait(lambda: page.text("#nick-problem"), "why the name will not do")
    faint = page.faint_texts()
    page.join("Ann")
    send_from_a_terminal(chat, ["Hello"])
    page.say("Hello")
    page.expect_message("You", "Hello")
    page.expect_people("Ann")
    assert faint + page.faint_texts() == []


def test_on_a_phone_a_button_shows_who_is_here(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat, width=375)
    page.join("Ann")
    assert not page.find("#people").is_displayed()
    page.find("#people-toggle").click()
    assert page.find("#people").is_displayed()
    assert page.text("#people .name") == "Ann"
    page.find("#rename").click()
    page.find("#back").click()
    assert not page.find("#people").is_displayed(), "it does not cover the messages for ever"


def test_a_nick_that_is_taken_is_reported_and_another_one_works(chat: Server, open_page: OpenPage) -> None:
    first, second = open_page(chat), open_page(chat)
    first.join("Ann")
    second.enter("ann")
    second.wait(lambda: "called “ann” already" in second.text("#nick-problem"), "that the name is taken")
    assert second.text("#entrance-state") == "", "it is connected"
    assert second.text("#join .primary") == "Join"
    second.join("Anna")
    first.expect_people("Ann", "Anna")


def test_a_name_can_be_changed_and_the_screen_for_it_says_so(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    assert page.text("#join .primary") == "Join"
    page.join("Ann")
    page.find("#rename").click()
    assert page.text("#join h1") == "Change your name"
    assert page.text("#join .primary") == "Change name"
    assert page.text("#entrance-state") == ""
    page.enter("guest-7")
    page.wait(lambda: page.text("#nick-problem"), "why the name will not do")
    assert page.text("#join .primary") == "Change name"
    page.enter("Anna")
    page.expect_people("Anna")
    assert not page.find("#join").is_displayed()


def test_a_half_written_name_survives_a_lost_connection(open_page: OpenPage) -> None:
    port = free_port()
    with server("chat", port) as chat:
        page = open_page(chat)
        page.join("Ann")
        page.find("#rename").click()
        page.enter("guest-7")
        page.wait(lambda: page.text("#nick-problem"), "why the name will not do")
        page.find("#nick").send_keys("Hild")
    page.wait(lambda: "No connection" in page.text("#entrance-state"), "that the connection is lost")
    with server("chat", port):
        page.wait(lambda: page.text("#entrance-state") == "", "that the connection is back")
        page.find("#nick").send_keys("e", Keys.ENTER)
        page.expect_people("Hilde")


def test_a_reload_keeps_the_nick_the_messages_and_the_draft(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    page.join("Ann")
    page.say("before")
    page.expect_message("You", "before")
    page.write("half a sent")
    page.driver.refresh()
    page.expect_state("Connected")
    page.expect_people("Ann")
    assert page.conversation() == [("You", "before")]
    assert page.draft() == "half a sent"


def test_a_message_beyond_the_limit_is_not_sent_and_says_why(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    page.join("Ann")
    page.driver.execute_script("document.getElementById('text').value = 'x'.repeat(2000)")
    page.write("yz")
    assert page.text("#text-problem") == "2 characters too long (at most 2000)"
    page.find("#send").click()
    assert page.conversation() == []
    assert len(page.draft()) == 2002


def test_the_page_comes_back_when_the_server_does_and_keeps_the_draft(open_page: OpenPage) -> None:
    port = free_port()
    with server("chat", port) as chat:
        page = open_page(chat)
        page.join("Ann")
        page.say("first")
        page.expect_message("You", "first")
    page.expect_state("No connection. Trying again…")
    page.say("second")
    assert "Not connected" in page.text("#text-problem")
    assert page.draft() == "second"
    with server("chat", port) as chat:
        page.expect_state("Connected")
        assert page.text("#text-problem") == ""
        page.say("")
        page.expect_message("You", "second")
        assert page.draft() == ""
        assert page.conversation() == [("You", "first"), ("You", "second")]
        assert "Some messages may be missing here" in page.texts("#messages .notice")


def test_a_message_that_was_not_confirmed_is_sent_again(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    # A connection that accepts the next message, and loses it.
    page.driver.execute_script(
        "const send = WebSocket.prototype.send;"
        "WebSocket.prototype.send = function (data) {"
        "  if (!data.includes('lost')) return send.call(this, data);"
        "  WebSocket.prototype.send = send;"
        "  this.close();"
        "};"
    )
    page.join("Ann")
    page.say("kept")
    page.say("lost?")
    page.wait(lambda: len(page.texts("#messages .foot time")) == 2, "the times of the messages")
    assert all(foot.endswith("Sent") for foot in page.texts("#messages .foot"))
    assert page.conversation() == [("You", "kept"), ("You", "lost?")]


def test_a_room_is_chosen_at_the_entrance_or_from_the_list(chat: Server, open_page: OpenPage) -> None:
    page, other = open_page(chat), open_page(chat)
    page.find("#room").clear()
    page.find("#room").send_keys("Kitchen")
    page.enter("Ann")
    page.wait(lambda: page.text(".bar h1") == "kitchen", "the room")
    page.expect_state("Connected")
    page.say("It is warm here")
    other.join("Ben")
    other.wait(lambda: "kitchen" in other.texts("#rooms .name"), "the other room")
    other.find("#other-room").send_keys("kitchen", Keys.ENTER)
    other.expect_message("Ann", "It is warm here")
    page.expect_people("Ann", "Ben")
    other.driver.find_element("link text", "lobby").click()
    page.expect_people("Ann")
    assert page.texts("#messages .notice") == ["Ben joined", "Ben left"]
    assert page.complaints() == other.complaints() == []


def test_the_same_session_in_another_window_takes_over(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    page.join("Ann")
    session = page.driver.execute_script("return sessionStorage.getItem('chat.session')")
    other = websocket.create_connection(
        f"ws://{chat.address}/chat", timeout=PATIENCE, subprotocols=["chat.json"]
    )
    other.send(f'{{"type": "join", "nick": "Ann", "session": "{session}"}}')
    page.expect_state("The chat goes on in another window")
    page.find("#retry").click()
    page.expect_state("Connected")
    other.shutdown()
