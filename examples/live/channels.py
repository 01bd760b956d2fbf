"""The channels of this example: what is kept of them, and who may do what."""

from __future__ import annotations

import os

from geventkws.centrifuge import Namespace
from geventkws.pubsub import PubSub

READINGS = "readings:roof"
"""What the weather station on the roof measures."""

ROOM = "room:lobby"
"""What people say to each other."""

KEPT = 300
"""How many publications are kept of each: as many as a client may have missed, and still get all."""

NAMESPACES = {
    "readings": Namespace(
        history_size=KEPT,
        history_ttl=3600,
        recover=True,
        may_subscribe="users",
        may_read_history="subscribers",
    ),
    "room": Namespace(
        history_size=KEPT,
        history_ttl=24 * 3600,
        recover=True,
        presence=True,
        join_leave=True,
        may_subscribe="users",
        may_read_history="subscribers",
        may_see_presence="subscribers",
    ),
}
"""Nobody but the application publishes: ``may_publish`` is ``"nobody"`` unless something else is said."""


def channels() -> PubSub:
    """Return the channels of all processes that use the Redis in GEVENTKWS_REDIS, or of this one alone."""
    pubsub = PubSub(os.environ.get("GEVENTKWS_REDIS"))
    for name, settings in NAMESPACES.items():
        pubsub.configure(f"{name}:*", settings.history_size, settings.history_ttl, settings.presence)
    return pubsub
