"""Applications with flask-sock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from simple_websocket import Server

from tests.docs.contexts.context import Context, echoes


class FlaskSockServer(Context):
    """A program with flask-sock."""

    def visit(self, address: str) -> None:
        echoes(address, "/echo")


class FlaskSockInstalled(Context):
    """Our frames for the program; what other tests use is left as it was."""

    def names(self) -> dict[str, Any]:
        self._patch = pytest.MonkeyPatch()
        for name in ("__init__", "send", "receive", "close"):
            self._patch.setattr(Server, name, getattr(Server, name))
        self._patch.setattr(Server, "connected", False, raising=False)
        return {}

    def check(self, block: SimpleNamespace) -> None:
        try:
            assert isinstance(vars(Server)["connected"], property)
        finally:
            self._patch.undo()


class FlaskSockNative(Context):
    """The same on our frames."""

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        echoes(f"127.0.0.1:{block.server.server_port}", "/echo")
        block.server.stop(timeout=5)
