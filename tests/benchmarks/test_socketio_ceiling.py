"""The time of Flask-SocketIO alone is that of events which are all answered."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import socketio_ceiling
from benchmarks.socketio_ceiling import TEXT, InstantWebSocket


def test_each_event_of_each_connection_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()
    send = InstantWebSocket.send

    def count(websocket: InstantWebSocket, packet: str) -> None:
        sent[packet] += 1
        send(websocket, packet)

    monkeypatch.setattr(socketio_ceiling, "CONNECTIONS", 2)
    monkeypatch.setattr(InstantWebSocket, "send", count)
    assert socketio_ceiling.serve_all(3) > 0
    assert {packet: n for packet, n in sent.items() if n > 1} == {
        f'43{number}["{TEXT}"]': 2 for number in range(3)
    }
