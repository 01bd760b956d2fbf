"""Test a service: the tests on the page are called as pytest would call them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from geventkws import HandshakeError, WebSocketService
from geventkws.testing import ServerFactory
from tests.docs.contexts.chats import up_to
from tests.docs.contexts.context import Context
from tests.docs.contexts.services import Echo, application


class Private(Echo):
    """Lets nobody in."""

    def connecting(self, request):
        raise HandshakeError(401, "Who are you?")


class TextOnly(WebSocketService):
    """Accepts no binary messages."""

    def received_text(self, message, connection):
        connection.send(message)


def run_tests(block: SimpleNamespace, *fixtures: object) -> None:
    """Call the tests in a block; there must be at least one."""
    tests = [each for name, each in vars(block).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(*fixtures)


class TestsOfAService(Context):
    """Tests of small services."""

    def names(self) -> dict[str, Any]:
        return {"Echo": Echo, "Private": Private, "TextOnly": TextOnly}

    def check(self, block: SimpleNamespace) -> None:
        run_tests(block)


class TestsOfTheChat(TestsOfAService):
    """Tests of the tutorial's chat."""

    def names(self) -> dict[str, Any]:
        return up_to("logging.basicConfig", "docs/tutorial.md")


class TestsWithAPort(Context):
    """A test with the plugin's fixture."""

    def names(self) -> dict[str, Any]:
        return {"Echo": Echo, "app": application}

    def check(self, block: SimpleNamespace) -> None:
        servers = ServerFactory()
        run_tests(block, servers)
        assert servers.close() == []


class PatchedTests(Context):
    """The first lines of a ``conftest.py``."""

    def check(self, block: SimpleNamespace) -> None:
        assert block.monkey.is_module_patched("socket")
