"""What the server answers, and what it says on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geventkws.centrifuge.protocol.fields import (
    Kind,
    always,
    boolean,
    fields_of,
    integer,
    part,
    parts,
    parts_by_name,
    raw,
    string,
)
from geventkws.centrifuge.protocol.parts import ClientInfo, Error, Publication


@dataclass(frozen=True, slots=True)
class SubscribeResult:
    """How a subscription begins: where the channel stands, and what was missed."""

    expires: bool = boolean(1)
    ttl: int = integer(2)
    recoverable: bool = boolean(3)
    epoch: str = string(6)
    publications: tuple[Publication, ...] = parts(7, lambda: Publication)
    recovered: bool = boolean(8)
    offset: int = integer(9, Kind.UINT64)
    positioned: bool = boolean(10)
    data: bytes = raw(11)
    was_recovering: bool = boolean(12)


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """How a connection begins: who the client is, how often it is pinged, what it is subscribed to."""

    client: str = string(1)
    version: str = string(2)
    expires: bool = boolean(3)
    ttl: int = integer(4)
    data: bytes = raw(5)
    subs: Mapping[str, SubscribeResult] = parts_by_name(6, lambda: SubscribeResult)
    ping: int = integer(7)
    pong: bool = boolean(8)
    session: str = string(9)
    node: str = string(10)


@dataclass(frozen=True, slots=True)
class UnsubscribeResult:
    """The channel has been left."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """It has been published."""


@dataclass(frozen=True, slots=True)
class PresenceResult:
    """Who is in the channel, by client."""

    presence: Mapping[str, ClientInfo] = always(parts_by_name(1, lambda: ClientInfo))


@dataclass(frozen=True, slots=True)
class PresenceStatsResult:
    """How many are in the channel."""

    num_clients: int = always(integer(1))
    num_users: int = always(integer(2))


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """Publications, and where the channel stands."""

    publications: tuple[Publication, ...] = always(parts(1, lambda: Publication))
    epoch: str = always(string(2))
    offset: int = always(integer(3, Kind.UINT64))


@dataclass(frozen=True, slots=True)
class PingResult:
    """The answer to a ping of the client."""


@dataclass(frozen=True, slots=True)
class RPCResult:
    """What the method has returned."""

    data: bytes = raw(1)


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """When the connection expires now; ``ttl`` in seconds."""

    client: str = string(1)
    version: str = string(2)
    expires: bool = boolean(3)
    ttl: int = integer(4)


@dataclass(frozen=True, slots=True)
class SubRefreshResult:
    """When the subscription expires now; ``ttl`` in seconds."""

    expires: bool = boolean(1)
    ttl: int = integer(2)


# What it says on its own


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody has subscribed."""

    info: ClientInfo | None = part(1, lambda: ClientInfo)


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody is no longer there."""

    info: ClientInfo | None = part(1, lambda: ClientInfo)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The server has ended a subscription; from code 2500 on, the client subscribes again."""

    code: int = integer(2)
    reason: str = string(3)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The server has subscribed the client to a channel."""

    recoverable: bool = boolean(1)
    epoch: str = string(4)
    offset: int = integer(5, Kind.UINT64)
    positioned: bool = boolean(6)
    data: bytes = raw(7)


@dataclass(frozen=True, slots=True)
class Message:
    """Something from the application, for this client alone."""

    data: bytes = raw(1)


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection is about to end."""

    code: int = integer(1)
    reason: str = string(2)
    reconnect: bool = boolean(3)


@dataclass(frozen=True, slots=True)
class Refresh:
    """When the connection expires; ``ttl`` in seconds."""

    expires: bool = boolean(1)
    ttl: int = integer(2)


@dataclass(frozen=True, slots=True)
class Push:
    """What concerns a channel, or without ``channel``, the connection."""

    channel: str = string(2)
    pub: Publication | None = part(4, lambda: Publication)
    join: Join | None = part(5, lambda: Join)
    leave: Leave | None = part(6, lambda: Leave)
    unsubscribe: Unsubscribe | None = part(7, lambda: Unsubscribe)
    message: Message | None = part(8, lambda: Message)
    subscribe: Subscribe | None = part(9, lambda: Subscribe)
    disconnect: Disconnect | None = part(11, lambda: Disconnect)
    refresh: Refresh | None = part(12, lambda: Refresh)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the command with this ``id``, or without one, a push. If it is empty, it is a ping."""

    id: int = integer(1)
    error: Error | None = part(2, lambda: Error)
    push: Push | None = part(4, lambda: Push)
    connect: ConnectResult | None = part(5, lambda: ConnectResult)
    subscribe: SubscribeResult | None = part(6, lambda: SubscribeResult)
    unsubscribe: UnsubscribeResult | None = part(7, lambda: UnsubscribeResult)
    publish: PublishResult | None = part(8, lambda: PublishResult)
    presence: PresenceResult | None = part(9, lambda: PresenceResult)
    presence_stats: PresenceStatsResult | None = part(10, lambda: PresenceStatsResult)
    history: HistoryResult | None = part(11, lambda: HistoryResult)
    ping: PingResult | None = part(12, lambda: PingResult)
    rpc: RPCResult | None = part(13, lambda: RPCResult)
    refresh: RefreshResult | None = part(14, lambda: RefreshResult)
    sub_refresh: SubRefreshResult | None = part(15, lambda: SubRefreshResult)


_RESULTS: dict[type, str] = {field.message(): field.name for field in fields_of(Reply) if field.message}


def reply(number: int, result: Any) -> Reply:
    """Return the reply with a result, which is one of the messages above, or with an ``Error``."""
    return Reply(number, **{_RESULTS[type(result)]: result})
