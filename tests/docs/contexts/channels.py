"""Rooms, with history and presence."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import geventkws
from geventkws.pubsub import PubSub
from geventkws.testing import connect
from tests.docs.contexts.context import Context
from tests.waiting import PATIENCE, wait_until


class RoomsOfChannels(Context):
    """Everybody in a room except the sender gets a message."""

    def check(self, block: SimpleNamespace) -> None:
        service = block.Rooms()
        ann, ben, eve = (
            connect(service, f"/rooms/{room}", on_path="/rooms/<room>", timeout=PATIENCE)
            for room in ("lobby", "lobby", "other")
        )
        with ann, ben, eve:
            ann.send("Hello")
            assert ben.receive() == "Hello"
            ben.send("Hello yourself")
            assert ann.receive() == "Hello yourself"
            block.pubsub.publish("other", "end")
            assert eve.receive() == "end"


class Alarm(Context):
    """What is printed is what was published."""

    def names(self) -> dict[str, Any]:
        self.printed: list[tuple[object, ...]] = []
        return {"pubsub": PubSub(), "print": lambda *words: self.printed.append(words)}

    def check(self, block: SimpleNamespace) -> None:
        wait_until(lambda: self.printed)
        assert self.printed == [("alarms", "Water in the cellar")]


class Recovery(Context):
    """Who comes back gets what was missed."""

    def check(self, block: SimpleNamespace) -> None:
        with connect(block.Rooms(), timeout=PATIENCE) as ann:
            block.pubsub.publish("room:lobby", "first")
            seen = json.loads(ann.receive())
        assert seen["message"] == "first"
        offset, epoch = seen["position"]
        block.pubsub.publish("room:lobby", "missed")
        with connect(block.Rooms(), f"/?offset={offset}&epoch={epoch}", timeout=PATIENCE) as ann:
            assert json.loads(ann.receive())["message"] == "missed"
        with connect(block.Rooms(), f"/?offset={offset}&epoch=other", timeout=PATIENCE) as ann:
            assert json.loads(ann.receive()) == {"lost": True, "position": [2, epoch]}


class WhoIsThere(Context):
    """People see each other come and go."""

    def names(self) -> dict[str, Any]:
        return {"pubsub": PubSub(), "WebSocketService": geventkws.WebSocketService}

    def check(self, block: SimpleNamespace) -> None:
        service = block.Rooms()
        with connect(service, "/?name=Ann", timeout=PATIENCE) as ann:
            assert ann.receive() == "Ann"
            with connect(service, "/?name=Ben", timeout=PATIENCE) as ben:
                assert ben.receive() == "Ann, Ben"
                assert ann.receive() == "Ben has joined"
                block.pubsub.disconnect("Ben")
                assert ann.receive() == "Ben has left"


class OnRedis(Context):
    """Nothing is connected before it is needed."""

    def check(self, block: SimpleNamespace) -> None:
        assert not block.pubsub.is_deaf


class Quiet(geventkws.WebSocketService):
    """A service that says nothing by itself."""

    def received(self, message: object, connection: object) -> None:
        pass


class Commands(Context):
    """A command subscribes the connections of a user."""

    def names(self) -> dict[str, Any]:
        self.pubsub = PubSub()
        return {"pubsub": self.pubsub}

    def check(self, block: SimpleNamespace) -> None:
        with connect(Quiet(), timeout=PATIENCE) as ann:
            self.pubsub.identify(ann.connection, "ann")
            self.pubsub.command("ann", "invite", "room:lobby")
            wait_until(lambda: self.pubsub.channels("room:*") == {"room:lobby": 1})
