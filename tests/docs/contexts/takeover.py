"""Applications that take a connection over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.docs.contexts.context import PUBLIC, Context, connect, refusal, serving
from tests.docs.examples import first_example_of
from tests.waiting import PATIENCE


def application() -> Any:
    """Return the application that the page begins with."""
    names: dict[str, Any] = {}
    first_example_of("docs/how-to/takeover.md").run(names)
    return names["application"]


def answers(address: str, **options: Any) -> None:
    client = connect(address, "/", **options)
    client.send("Hello")
    assert client.recv() == "You said Hello"
    client.close(timeout=PATIENCE)


class OwnFrames(Context):
    """An application with frames of its own."""

    def check(self, block: SimpleNamespace) -> None:
        with serving(application=block.application) as address:
            answers(address)
            assert refusal(address, "/", origin="https://www.example.com") == 403


class OwnFramesElsewhere(Context):
    """The same, for pages of another origin."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "application": application()}

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        answers(f"127.0.0.1:{block.server.server_port}", origin="https://www.example.com")
        block.server.stop(timeout=5)


class OwnName(Context):
    """A middleware that gives the socket another name."""

    def check(self, block: SimpleNamespace) -> None:
        def odoo(environ: dict[str, Any], start_response: Any) -> Any:
            assert environ["socket"] is environ.pop("geventkws.socket")
            return application()({**environ, "geventkws.socket": environ["socket"]}, start_response)

        with serving(application=block.naming(odoo)) as address:
            answers(address)
