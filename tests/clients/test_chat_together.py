"""People with very different clients chat with each other through one server."""

from __future__ import annotations

import re
import signal

import pytest
import websocket

from tests.clients.chat_page import OpenPage
from tests.helpers import free_port
from tests.programs import TERMINALS, OpenTerminal, Program, Server
from tests.waiting import PATIENCE


def test_python_node_and_a_browser_chat_with_each_other(
    chat: Server, open_page: OpenPage, open_terminal: OpenTerminal
) -> None:
    page = open_page(chat)
    page.join("Ann")
    python = open_terminal("python", chat)
    page.expect_people("Ann", "guest-1")
    node = open_terminal("node", chat)
    page.expect_people("Ann", "guest-1", "guest-2")

    python.type_in("Hello from Python\n")
    node.expect("=> Hello from Python\n")
    page.expect_message("guest-1", "Hello from Python")

    node.type_in("Grüße von Node\n")
    python.expect("=> Grüße von Node\n")
    page.expect_message("guest-2", "Grüße von Node")

    page.say("Hello from the page")
    python.expect("=> Ann: Hello from the page\n")
    node.expect("=> Ann: Hello from the page\n")
    page.expect_message("You", "Hello from the page")

    node.end_input()
    node.expect(r"chat Connection Closed\. Code=1000 \(Normal connection closure\)\n")
    assert node.wait() == 0
    page.expect_people("Ann", "guest-1")
    python.end_input()
    python.expect(r"chat Connection Closed\. Code=1000 \(normal closure\)\n")
    assert python.wait() == 0
    page.expect_people("Ann")

    assert len(page.conversation()) == 3, "nobody is told what they said themselves, and nothing comes twice"
    assert python.output.count("=> ") == 2
    assert node.output.count("=> ") == 2
    assert page.complaints() == []


@pytest.mark.parametrize("language", TERMINALS)
class TestTerminalClients:
    def test_an_interrupt_closes_the_connection(
        self, language: str, chat: Server, open_terminal: OpenTerminal
    ) -> None:
        client = open_terminal(language, chat)
        client.signal(signal.SIGINT)
        client.expect(r"chat Connection Closed\. Code=1000 \(.+\)\n")
        assert client.wait() == 0

    def test_the_servers_end_ends_the_client(
        self, language: str, chat: Server, open_terminal: OpenTerminal
    ) -> None:
        client = open_terminal(language, chat)
        chat.signal(signal.SIGTERM)
        client.expect(r"chat Connection Closed\. Code=1001 \(.+\)\n")
        assert client.wait() == 0

    def test_nobody_can_garble_the_terminal_or_speak_for_others(
        self, language: str, chat: Server, open_terminal: OpenTerminal
    ) -> None:
        client = open_terminal(language, chat)
        rogue = websocket.create_connection(f"ws://{chat.address}/chat", timeout=PATIENCE)
        rogue.send("\x1b[2J\rhello\n=> Ann: hello\x9b")
        client.expect(re.escape("=> \\x1b[2J\\x0dhello\n   => Ann: hello\\x9b\n"))
        rogue.close()

    def test_a_room_is_named_behind_the_server(self, language: str, chat: Server) -> None:
        command, path = TERMINALS[language]
        with Program(*command(path), chat.address, "Küche") as client:
            client.expect("> ")
            other = websocket.create_connection(f"ws://{chat.address}/chat/k%C3%BCche", timeout=PATIENCE)
            other.send("Hello")
            client.expect("=> Hello\n")
            other.close()

    def test_a_server_that_is_not_there_is_an_error(self, language: str) -> None:
        command, path = TERMINALS[language]
        with Program(*command(path), f"127.0.0.1:{free_port()}") as client:
            assert client.wait() == 1
        assert "ECONNREFUSED" in client.output or "Connection refused" in client.output
