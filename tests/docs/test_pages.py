"""The pages as they are built: their definitions, and the reference, with every public name and no others.

One file has all of this, so that only one worker builds them.
"""

from __future__ import annotations

import html
import re
import zlib
from dataclasses import fields
from pathlib import Path

import pytest

import geventkws
from geventkws import (
    QueryParameters,
    Request,
    ServiceRegistry,
    WebSocket,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
)
from geventkws.options import ServerOptions
from tests.docs.conftest import ROOT

SOURCES = ROOT / "docs"


def definitions(source: Path) -> int:
    """Return how many definitions a page has: lines that begin with a colon, below their term."""
    return sum(line.startswith(": ") for line in source.read_text().splitlines())


def test_every_definition_stands_below_its_term(site: Path) -> None:
    pages = {source: definitions(source) for source in sorted(SOURCES.rglob("*.md"))}
    assert sum(pages.values()) > 10
    for source, count in pages.items():
        page = (site / source.relative_to(SOURCES)).with_suffix(".html")
        if count:
            text = page.read_text()
            assert text.count("<dd><p>") == count, page
            assert '<dl class="simple myst">' in text


# The reference

MEMBERS: dict[type, set[str]] = {
    WebSocketServer: {"start", "stop", "serve_forever", "server_port", "reload_certificates"},
    WebSocket: {"register", "unregister", "services"},
    ServiceRegistry: {"register", "unregister", "services"},
    WebSocketService: {"run"},
    WebSocketConnection: {"send", "receive", "close_description", "active", "service", "__iter__"},
    Request: {"method", "path", "query", "headers", "cookies", "remote_address", "environ"},
    QueryParameters: {"get_all", "pairs"},
    ServerOptions: {field.name for field in fields(ServerOptions)},
}
"""What must be in the reference at least."""

COMPLETE = (WebSocketService, WebSocketConnection)
"""Classes of which everything must be in the reference, except names that begin with an underscore."""


class Reference:
    """The page, and the names explained in it according to Sphinx's inventory."""

    def __init__(self, site: Path) -> None:
        self.page = (site / "reference" / "index.html").read_text()
        _header, _, packed = (site / "objects.inv").read_bytes().partition(b"zlib.\n")
        entries = [line.split() for line in zlib.decompress(packed).decode().splitlines()]
        self.names = {name for name, role, *_ in entries if role.startswith("py:")}

    def members(self, owner: type) -> set[str]:
        """Return the names explained under a class."""
        module = "geventkws" if owner.__name__ in geventkws.__all__ else owner.__module__
        prefix = f"{module}.{owner.__name__}."
        return {name.removeprefix(prefix) for name in self.names if name.startswith(prefix)}

    def entry(self, name: str) -> tuple[str, str]:
        """Return the first line of an entry, and its explanation, as a reader sees them."""
        found = re.search(
            rf'<dt [^>]*id="geventkws\.{name}".*?>(.*?)</dt>\s*<dd>(.*?)</dd>', self.page, re.DOTALL
        )
        assert found, name
        return seen(found[1]), seen(found[2])


def seen(markup: str) -> str:
    """Return the text of HTML, as a reader sees it."""
    return " ".join(html.unescape(re.sub("<.*?>", "", markup)).split())


@pytest.fixture(scope="module")
def reference(site: Path) -> Reference:
    return Reference(site)


def test_every_public_name_is_in_the_reference(reference: Reference) -> None:
    missing = {name for name in geventkws.__all__ if f"geventkws.{name}" not in reference.names}
    assert missing == {"__version__"}


@pytest.mark.parametrize("owner", MEMBERS)
def test_the_members_of_a_class_are_in_the_reference(reference: Reference, owner: type) -> None:
    assert reference.members(owner) >= MEMBERS[owner]


@pytest.mark.parametrize("owner", COMPLETE)
def test_nothing_public_of_a_class_is_left_out(reference: Reference, owner: type) -> None:
    assert reference.members(owner) >= {name for name in dir(owner) if not name.startswith("_")}


def test_nothing_private_is_in_the_reference(reference: Reference) -> None:
    parts = {part for name in reference.names for part in name.split(".")}
    assert {part for part in parts if part.startswith("_")} == {"__iter__"}


@pytest.mark.parametrize("name", ["WebSocketConnection", "Request", "QueryParameters", "ConnectionClosed"])
def test_what_the_server_makes_is_shown_without_a_constructor(reference: Reference, name: str) -> None:
    title, explanation = reference.entry(name)
    assert title.removesuffix("¶").split()[-1] == f"geventkws.{name}"
    assert explanation


@pytest.mark.parametrize("code", WebSocketCloseReasonCode)
def test_every_close_code_has_its_number_and_a_meaning(
    reference: Reference, code: WebSocketCloseReasonCode
) -> None:
    title, meaning = reference.entry(f"WebSocketCloseReasonCode.{code.name}")
    assert title.startswith(f"{code.name} = {int(code)}")
    assert len(meaning) > 20
