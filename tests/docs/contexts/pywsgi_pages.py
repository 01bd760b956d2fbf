"""Programs that used gevent's own server."""

from __future__ import annotations

from tests.docs.contexts.context import Context, get


class PywsgiServer(Context):
    """The program with our server."""

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"
