"""The corpus of raw requests over sockets: what a client receives, and what an application sees."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from geventkws import ServiceRegistry, WebSocketServer
from tests.helpers import Feed
from tests.http.cases import CASES, Case
from tests.http.exchange import converse
from tests.integration.conftest import Recorder
from tests.waiting import PATIENCE


class Corpus(NamedTuple):
    """A server, and the requests that its application has seen."""

    connect: Callable[[], socket.socket]
    seen: list[str]


@pytest.fixture(scope="module")
def corpus() -> Iterator[Corpus]:
    seen: list[str] = []

    def application(environ, start_response):
        body = environ["wsgi.input"].read().decode("latin-1")
        target = environ["REQUEST_URI"]
        seen.append(f"{environ['REQUEST_METHOD']} {target} {body}".rstrip(" "))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"seen"]

    services = ServiceRegistry()
    services.register(Recorder(), "chat")
    server = WebSocketServer(("127.0.0.1", 0), application, services)
    server.start()

    def connect() -> socket.socket:
        client = socket.create_connection(("127.0.0.1", server.server_port or 0), PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    yield Corpus(connect, seen)
    server.stop(timeout=1)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_client_is_told_and_an_application_sees_what_the_corpus_says(
    case: Case, chunked: Feed, corpus: Corpus
) -> None:
    corpus.seen.clear()
    answers, received = converse(corpus.connect, chunked(case.data))
    assert answers == case.answers, received[:500]
    assert corpus.seen == case.requests
