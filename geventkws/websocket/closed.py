"""How a service in the pull style learns that the connection has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from geventkws.protocol.close_codes import WebSocketCloseReasonCode


class ConnectionClosed(Exception):
    """``receive`` has nothing more to return: the connection has ended.

    ``reason`` is the ``WebSocketCloseReasonCode`` and ``description`` the peer's text.
    """

    def __init__(self, reason: WebSocketCloseReasonCode, description: str = "") -> None:
        super().__init__(f"the connection has ended: {int(reason)} ({reason.name})")
        self.reason = reason
        self.description = description


def until_closed(receive: Callable[[], str | bytes]) -> Iterator[str | bytes]:
    """Yield what ``receive`` returns, until it raises ``ConnectionClosed``."""
    while True:
        try:
            yield receive()
        except ConnectionClosed:
            return
