"""Clients that people use: browsers, and programs in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from selenium.webdriver import Chrome

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


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Chrome]]:
    """Browsers, each with a profile of its own; they end with the tests of the file."""
    with ExitStack() as stack:

        def start() -> Chrome:
            driver = chromium(tmp_path_factory.mktemp("chromium"))
            stack.callback(driver.quit)
            return driver

        yield iter(start, None)


@pytest.fixture(scope="module")
def idle() -> list[Chrome]:
    """The browsers that no test uses now: starting one takes longer than most tests."""
    return []


@pytest.fixture
def open_page(browsers: Iterator[Chrome], idle: list[Chrome]) -> Iterator[OpenPage]:
    """A function that opens the chat's page in a browser of its own; the page is closed after the test."""
    busy: list[Chrome] = []

    def open_page(chat: Server | Cluster, width: int = 1200) -> ChatPage:
        busy.append(idle.pop() if idle else next(browsers))
        page = ChatPage(busy[-1])
        page.open(f"http://{chat.address}/", width)
        return page

    yield open_page
    for driver in busy:
        ChatPage(driver).close()
    idle += busy


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
