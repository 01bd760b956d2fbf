"""Channels of messages: publish to whoever has subscribed, with history and presence."""

from geventkws.pubsub.listener import Listener
from geventkws.pubsub.pubsub import PubSub
from geventkws.pubsub.values import (
    BrokerRefused,
    BrokerUnavailable,
    NodeInfo,
    Position,
    PositionLost,
    PresenceEvent,
    Publication,
    Subscription,
)

__all__ = [
    "BrokerRefused",
    "BrokerUnavailable",
    "Listener",
    "NodeInfo",
    "Position",
    "PositionLost",
    "PresenceEvent",
    "PubSub",
    "Publication",
    "Subscription",
]
