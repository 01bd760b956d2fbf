"""The chat's page as its users see it, in a headless Chromium."""

from __future__ import annotations

from typing import Protocol

from selenium.webdriver.common.keys import Keys

from tests.clients.page import Page
from tests.programs import Cluster, Server


class ChatPage(Page):
    """What a person sees and does in the chat."""

    def join(self, nick: str) -> None:
        """Choose a name and join the chat."""
        self.enter(nick)
        self.expect_state("Connected")

    def enter(self, nick: str) -> None:
        """Write ``nick`` as my name and press Enter."""
        field = self.find("#nick")
        field.clear()
        field.send_keys(nick, Keys.ENTER)

    def write(self, text: str) -> None:
        """Write into the message field."""
        self.find("#text").send_keys(text)

    def say(self, text: str) -> None:
        """Write a message and press Enter."""
        self.find("#text").send_keys(text, Keys.ENTER)

    def draft(self) -> str:
        """Return what is in the message field."""
        return str(self.find("#text").get_property("value"))

    def conversation(self) -> list[tuple[str, str]]:
        """Return the author and the text of each message on the page."""
        # Asked for at once: between two questions, a message may arrive.
        texts = self.texts("#messages .author, #messages .body")
        return list(zip(texts[::2], texts[1::2], strict=True))

    def expect_message(self, author: str, text: str) -> None:
        """Wait for a message from ``author``."""
        self.wait(lambda: (author, text) in self.conversation(), f"{text!r} of {author}")

    def expect_state(self, text: str) -> None:
        """Wait until the page shows ``text`` as the state of its connection."""
        self.wait(lambda: self.text("#state-text") == text, f"the state {text!r}")

    def expect_people(self, *nicks: str) -> None:
        """Wait until exactly these people are here."""
        self.wait(lambda: self.texts("#people .name") == list(nicks), f"{nicks} as the people here")


class OpenPage(Protocol):
    """Opens the chat's page in a new browser, ``width`` CSS pixels wide."""

    def __call__(self, chat: Server | Cluster, width: int = 1200) -> ChatPage: ...
