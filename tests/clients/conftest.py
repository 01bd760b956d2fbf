"""Clients that people use: browsers, and programs in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.certificates import Certificates
from tests.clients.chat_page import ChatPage, OpenPage, chromium
from tests.programs import TERMINALS, Cluster, OpenTerminal, Program, Server, server


@pytest.fixture(scope="session")
def cafile(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file with the certificate of the authority that clients must trust."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def chat() -> Iterator[Server]:
    """The chat's server, new for each test."""
    with server("chat") as running:
        yield running


@pytest.fixture
def open_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPage]:
    """A function that opens the chat's page; its browsers end with the test."""
    with ExitStack() as stack:

        def open_page(chat: Server | Cluster, width: int = 1200) -> ChatPage:
            driver = chromium(tmp_path_factory.mktemp("chromium"), width)
            stack.callback(driver.quit)
            driver.get(f"http://{chat.address}/")
            return ChatPage(driver)

        yield open_page


@pytest.fixture
def open_terminal() -> Iterator[OpenTerminal]:
    """A function that starts a terminal client; its programs end with the test."""
    with ExitStack() as stack:

        def open_terminal(language: str, chat: Server) -> Program:
            command, path = TERMINALS[language]
            program = stack.enter_context(Program(*command(path), chat.address))
            program.expect("> ")
            return program

        yield open_terminal
