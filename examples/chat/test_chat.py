"""Tests of the chat's service, without a server's port: ``python -m pytest`` in this directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from chat_service import PAGE, ChatService

from geventkws import ConnectionClosed
from geventkws.testing import ServiceClient, connect

Enter = Callable[[], ServiceClient]


@pytest.fixture
def chat() -> ChatService:
    return ChatService()


@pytest.fixture
def enter(chat: ChatService) -> Iterator[Callable[..., ServiceClient]]:
    """Let clients into the chat; they leave when the test is over."""
    with ExitStack() as clients:

        def enter(*subprotocols: str) -> ServiceClient:
            return clients.enter_context(connect(chat, "/chat", subprotocols=subprotocols))

        yield enter


def read(client: ServiceClient) -> dict[str, Any]:
    fields = json.loads(client.receive())
    assert isinstance(fields, dict)
    return fields


def test_a_message_goes_to_everybody_but_its_sender(enter: Enter) -> None:
    ann, ben, cem = enter(), enter(), enter()
    ann.send("Hello")
    assert ben.receive() == cem.receive() == "Hello"
    ben.send("Hello yourself")
    assert ann.receive() == "Hello yourself"


def test_binary_is_answered_with_1003(enter: Enter) -> None:
    client = enter()
    client.send(b"\x00")
    with pytest.raises(ConnectionClosed) as closed:
        client.receive()
    assert (closed.value.reason, closed.value.description) == (
        1003,
        "Chat-Server only accepts text messages",
    )


def test_a_page_has_a_name_and_sees_who_leaves(enter: Callable[..., ServiceClient]) -> None:
    page, guest = enter(PAGE), enter()
    page.send(json.dumps({"type": "join", "nick": "Ann"}))
    people = read(page)["people"]
    assert list(people.values()) == ["guest-1", "Ann"]
    assert page.connection.context.nick == "Ann"
    guest.close()
    assert read(page) == {"type": "left", "id": next(iter(people)), "nick": "guest-1"}


def test_a_message_is_confirmed_and_published_once(enter: Callable[..., ServiceClient]) -> None:
    page, guest = enter(PAGE), enter()
    page.send(json.dumps({"type": "join", "nick": "Ann"}))
    read(page)
    for _ in range(2):
        page.send(json.dumps({"type": "message", "text": "Hello", "key": "k1"}))
    page.send(json.dumps({"type": "message", "text": "Anybody here?", "key": "k2"}))
    answers = [read(page) for _ in range(5)]
    assert [(one["type"], one["key"]) for one in answers] == [
        ("message", "k1"),
        ("sent", "k1"),
        ("sent", "k1"),
        ("message", "k2"),
        ("sent", "k2"),
    ]
    assert [guest.receive(), guest.receive()] == ["Ann: Hello", "Ann: Anybody here?"]


def test_a_page_that_comes_back_is_sent_what_it_has_missed(enter: Callable[..., ServiceClient]) -> None:
    before, guest = enter(PAGE), enter()
    before.send(json.dumps({"type": "join", "nick": "Ann", "session": "secret"}))
    position = read(before)["position"]
    before.close()
    guest.send("Where are you?")
    after = enter(PAGE)
    after.send(json.dumps({"type": "join", "nick": "Ann", "session": "secret", "since": position}))
    assert read(after)["text"] == "Where are you?"
    welcome = read(after)
    assert (welcome["recovered"], welcome["history"]) == (True, [])
