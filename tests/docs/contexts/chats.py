"""The chats in the README, the index and the tutorial."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import geventkws
from tests.docs.contexts.context import Context, close_code, connect, get, serving
from tests.docs.examples import first_example_of
from tests.waiting import PATIENCE


class Chat(Context):
    """A chat that runs; everybody except the sender gets a message."""

    def visit(self, address: str) -> None:
        ann, ben = connect(address, "/chat"), connect(address, "/chat")
        ann.send("Hello")
        assert ben.recv() == "Hello"
        ben.send("Hello yourself")
        assert ann.recv() == "Hello yourself"
        for one in (ann, ben):
            one.close(timeout=PATIENCE)


class ChatWithEverybody(Context):
    """A chat that runs; everybody gets a message, including its sender."""

    def visit(self, address: str) -> None:
        ann, ben = connect(address, "/chat"), connect(address, "/chat")
        ann.send("Hello")
        assert ann.recv() == ben.recv() == "Hello"
        for one in (ann, ben):
            one.close(timeout=PATIENCE)


def up_to(marker: str, page: str) -> dict[str, Any]:
    """Return the names that a page's first block defines above the last line with ``marker``."""
    example = first_example_of(page)
    above, found, _ = example.code.rpartition(marker)
    assert found
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(above, names)
    return names


class ChatBesideFlask(Chat):
    """The README's chat, up to its registration, beside a page."""

    def names(self) -> dict[str, Any]:
        return up_to("WebSocket.register", "README.md")

    def visit(self, address: str) -> None:
        assert "new WebSocket" in get(address)
        super().visit(address)


class TutorialsPage(ChatBesideFlask):
    """The tutorial's chat without its last line."""

    def names(self) -> dict[str, Any]:
        return up_to("WebSocketServer", "docs/tutorial.md")


class Greeter(Context):
    """The service in the pull style."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketService": geventkws.WebSocketService}

    def check(self, block: SimpleNamespace) -> None:
        with serving(block.Greeter()) as address:
            guest = connect(address, "/")
            assert guest.recv() == "What is your name?"
            guest.send("Ann")
            assert guest.recv() == "Hello Ann. I repeat what you say."
            guest.send("Good bye")
            assert guest.recv() == "Good bye"
            guest.send_close()
            assert close_code(guest) == 1000
