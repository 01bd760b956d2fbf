"""What a service sees of a connection, whichever backend runs: the names in the API, and no others."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

from geventkws import WebSocketConnection
from tests.integration.conftest import Recorder, Serve

DATA = {
    "active",
    "close_description",
    "context",
    "id",
    "path_params",
    "request",
    "service",
    "subprotocol",
    "traffic",
}
METHODS = {"close", "drop", "ping", "receive", "send"}


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_a_connection_shows_the_names_of_the_api_and_no_others(serve: Serve) -> None:
    service = Recorder()
    serve(service).connect()
    service.expect("connected")
    connection = service.connections[0]
    assert public(dir(connection)) == DATA | METHODS
    assert {name for name in public(dir(connection)) if callable(getattr(connection, name))} == METHODS


def test_so_does_its_class_which_does_not_pretend() -> None:
    assert public(dir(WebSocketConnection)) == DATA | METHODS
    assert WebSocketConnection.__dir__ is object.__dir__


def test_each_name_but_a_plain_field_is_documented() -> None:
    for name in METHODS | {"context", "id", "traffic"}:
        assert getattr(WebSocketConnection, name).__doc__, name


def texts() -> dict[str, list[str | None]]:
    """Return what ``help`` shows for each method: its signature and its text."""
    methods = {name: getattr(WebSocketConnection, name) for name in sorted(METHODS)}
    return {name: [str(inspect.signature(each)), inspect.getdoc(each)] for name, each in methods.items()}


def test_every_method_has_the_same_text_on_the_readable_backend() -> None:
    program = (
        "import json, geventkws, tests.websocket.test_connection as api\n"
        "print(json.dumps([geventkws.BACKEND, api.texts()]))"
    )
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        timeout=100,
        cwd=root,
        env={**os.environ, "GEVENTKWS_PURE": "1"},
    )
    backend, expected = json.loads(answer.stdout)
    assert backend == "pure"
    assert texts() == expected
    assert all(text for _, text in expected.values())
