"""What is due for clients at a time: pings, and the end of those who are too late or have expired."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic, time

import gevent

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.protocol.errors import Disconnect, DisconnectCode, UnsubscribeCode
from geventkws.centrifuge.subscription import ClientSubscriber
from geventkws.loop.loop import Loop
from geventkws.pubsub import PubSub

logger = logging.getLogger("geventkws.centrifuge")

CONNECT_TIMEOUT = 15.0
"""Seconds within which a client must have connected."""

PING_INTERVAL = 25
"""Seconds between two pings."""

PONG_TIMEOUT = 8.0
"""Seconds within which a client must answer a ping."""

GRACE = 25.0
"""Seconds that a client has for a new token after the old one has expired."""

CHECK_INTERVAL = 40.0
"""Seconds between two checks of whether everything that was published on a channel has come."""

TICK = 1.0
"""Seconds between two looks at the clients."""

Refresh = Callable[[Client], float | None]
"""Returns until when the connection of a client goes on."""


class Clock:
    """Looks at the clients of one hub. In its thread."""

    def __init__(self, refresh: Refresh, pubsub: PubSub) -> None:
        self.clients: set[Client] = set()
        self._refresh = refresh
        self._pubsub = pubsub
        self._check_at = monotonic() + CHECK_INTERVAL

    def run(self) -> None:
        """Look every second, until there are no clients."""
        while self.clients:
            gevent.sleep(TICK)
            self.look(monotonic(), time())

    def look(self, now: float, today: float) -> None:
        """Do what is due; ``now`` is the time by ``time.monotonic``, ``today`` by ``time.time``."""
        for client in list(self.clients):
            if client.due <= now and client.connection.active:
                self._act(client, now)
                if client.has_expiries:
                    self._expire(client, today)
        if now >= self._check_at:
            self._check_at = now + CHECK_INTERVAL
            self._check_channels()

    def _act(self, client: Client, now: float) -> None:
        if client.user is None:
            client.disconnect(DisconnectCode.STALE)
        elif client.pinged_at is not None and client.has_answered:
            client.pinged_at = None
        elif client.pinged_at is not None and now >= client.pinged_at + PONG_TIMEOUT:
            client.connection.drop(DisconnectCode.NO_PONG, "no pong")
        elif client.pinged_at is None and now >= client.ping_at:
            client.ping(now)
            client.ping_at = now + PING_INTERVAL
        waits = client.pinged_at is not None or client.has_expiries
        client.due = now + TICK if waits else client.ping_at

    def _check_channels(self) -> None:
        channels = {channel for client in self.clients for channel in client.channels}
        for channel in channels:
            self._pubsub._check(channel)

    # What expires

    def _expire(self, client: Client, today: float) -> None:
        expires_at = client.expires_at
        if expires_at is not None and client.has_token and today >= expires_at + GRACE:
            client.disconnect(DisconnectCode.EXPIRED)
        elif expires_at is not None and not client.has_token and today >= expires_at:
            client.expires_at = None
            gevent.spawn(self._go_on, client)
        for channel in client.channels:
            subscriber = self._pubsub._subscriber(client.connection, channel)
            ends_at = subscriber.expires_at if isinstance(subscriber, ClientSubscriber) else None
            if ends_at is not None and today >= ends_at + GRACE:
                gevent.spawn(client.unsubscribe, channel, UnsubscribeCode.EXPIRED)

    def _go_on(self, client: Client) -> None:
        """Ask until when the connection of a client goes on."""
        try:
            client.expires_at = self._refresh(client)
        except Disconnect as disconnect:
            client.disconnect(disconnect.code, disconnect.reason)
        except Exception:
            logger.exception("whether %r goes on cannot be found out", client)
            client.disconnect(DisconnectCode.SERVER_ERROR)


class Clocks:
    """The clocks of all hubs that have clients."""

    def __init__(self, refresh: Refresh, pubsub: PubSub) -> None:
        self._refresh = refresh
        self._pubsub = pubsub
        self._clocks: dict[Loop, Clock] = {}

    def watch(self, client: Client) -> None:
        """Look at a client from now on. In the thread of its hub."""
        loop = client.connection._channel.loop
        clock = self._clocks.get(loop)
        if clock is None:
            clock = self._clocks[loop] = Clock(self._refresh, self._pubsub)
            gevent.spawn(self._run, loop, clock)
        clock.clients.add(client)

    def forget(self, client: Client) -> None:
        """Look at a client no longer."""
        clock = self._clocks.get(client.connection._channel.loop)
        if clock is not None:
            clock.clients.discard(client)

    def _run(self, loop: Loop, clock: Clock) -> None:
        while clock.clients:
            clock.run()
        self._clocks.pop(loop, None)
