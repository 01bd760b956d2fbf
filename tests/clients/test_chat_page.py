"""The chat's page in Chromium: what a person meets besides plain talk."""

from __future__ import annotations

import pytest
import websocket

from tests.clients.chat_page import OpenPage
from tests.helpers import free_port
from tests.programs import PATIENCE, Server, server

MARKUP = "<img src=x onerror=\"document.title='broken'\"> <b>bold</b> &amp; <script>alert(1)</script>"


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
    assert page.driver.title == "Chat"
    assert page.driver.execute_script("return document.querySelector('#chat :is(img, b, i, script)')") is None
    assert page.driver.execute_script("return document.documentElement.scrollWidth") == width
    sideways = "const s = document.getElementById('scroller'); return s.scrollWidth - s.clientWidth"
    assert page.driver.execute_script(sideways) == 0
    assert page.complaints() == []


def test_on_a_phone_a_button_shows_who_is_here(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat, width=375)
    page.join("Ann")
    assert not page.find("#people").is_displayed()
    page.find("#people-toggle").click()
    assert page.find("#people").is_displayed()
    assert page.text("#people .name") == "Ann"


def test_a_nick_that_is_taken_is_told_and_another_one_will_do(chat: Server, open_page: OpenPage) -> None:
    first, second = open_page(chat), open_page(chat)
    first.join("Ann")
    second.enter("ann")
    second.wait(lambda: "called “ann” already" in second.text("#nick-problem"), "that the name is taken")
    second.join("Anna")
    first.expect_people("Ann", "Anna")


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
        page.say("")
        page.expect_message("You", "second")
        assert page.draft() == ""
        assert page.conversation() == [("You", "first"), ("You", "second")]


def test_a_message_that_was_not_confirmed_can_be_sent_again(chat: Server, open_page: OpenPage) -> None:
    page = open_page(chat)
    # A connection that takes the next message and loses it.
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
    page.expect_message("You", "kept")
    page.say("lost?")
    page.wait(lambda: page.texts("#messages .foot button") == ["Send again"], "a button to send it again")
    page.expect_state("Connected")
    page.find("#messages .foot button").click()
    page.wait(lambda: page.texts("#messages .foot time"), "the time of the message")
    assert page.conversation() == [("You", "kept"), ("You", "lost?")], (
        "what was here before is not shown twice"
    )


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
