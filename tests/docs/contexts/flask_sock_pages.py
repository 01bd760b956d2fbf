"""Applications with flask-sock."""

from __future__ import annotations

from types import SimpleNamespace

from tests.docs.contexts.context import Context, echoes


class FlaskSockServer(Context):
    """A program with flask-sock."""

    def visit(self, address: str) -> None:
        echoes(address, "/echo")


class FlaskSockNative(Context):
    """The same on our frames."""

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        echoes(f"127.0.0.1:{block.server.server_port}", "/echo")
        block.server.stop(timeout=5)
