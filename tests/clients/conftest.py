"""Clients that people use: browsers, and programs in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from selenium.webdriver import Chrome

from tests.certificates import Certificates
from tests.clients.chat_page import ChatPage, OpenPage
from tests.clients.page import OpenBrowser, Page, chromium
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
def open_browser(browsers: Iterator[Chrome], idle: list[Chrome]) -> Iterator[OpenBrowser]:
    """A function that opens a page in a browser of its own; the page is closed after the test."""
    busy: list[Chrome] = []

    def open_browser(url: str, width: int = 1200) -> Chrome:
        busy.append(idle.pop() if idle else next(browsers))
        Page(busy[-1]).open(url, width)
        return busy[-1]

    yield open_browser
    for driver in busy:
        Page(driver).close()
    idle += busy


@pytest.fixture
def open_page(open_browser: OpenBrowser) -> OpenPage:
    """A function that opens the chat's page."""

    def open_page(chat: Server | Cluster, width: int = 1200) -> ChatPage:
        return ChatPage(open_browser(f"http://{chat.address}/", width))

    return open_page


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
