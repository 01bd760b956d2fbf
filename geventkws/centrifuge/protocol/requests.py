"""What a client asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geventkws.centrifuge.protocol.fields import (
    Kind,
    boolean,
    fields_of,
    integer,
    part,
    parts_by_name,
    raw,
    string,
    strings_by_name,
)
from geventkws.centrifuge.protocol.parts import StreamPosition


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """Subscribe to a channel; with ``recover``, also get what was published after ``offset``."""

    channel: str = string(1)
    token: str = string(2)
    recover: bool = boolean(3)
    epoch: str = string(6)
    offset: int = integer(7, Kind.UINT64)
    data: bytes = raw(8)
    positioned: bool = boolean(9)
    recoverable: bool = boolean(10)
    join_leave: bool = boolean(11)
    delta: str = string(12)
    flag: int = integer(14, Kind.INT64)
    type: int = integer(15, Kind.INT32)


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """The first command of a connection; ``subs`` are positions in channels that the server subscribes to."""

    token: str = string(1)
    data: bytes = raw(2)
    subs: Mapping[str, SubscribeRequest] = parts_by_name(3, lambda: SubscribeRequest)
    name: str = string(4)
    version: str = string(5)
    headers: Mapping[str, str] = strings_by_name(6)


@dataclass(frozen=True, slots=True)
class UnsubscribeRequest:
    """Leave a channel."""

    channel: str = string(1)


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Publish in a channel; ``type`` is 0 except for maps, which are not spoken here."""

    channel: str = string(1)
    data: bytes = raw(2)
    type: int = integer(3, Kind.INT32)


@dataclass(frozen=True, slots=True)
class PresenceRequest:
    """Ask who is in a channel."""

    channel: str = string(1)


@dataclass(frozen=True, slots=True)
class PresenceStatsRequest:
    """Ask how many are in a channel."""

    channel: str = string(1)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Ask for publications; a ``limit`` of 0 asks for the position alone, a negative one for all."""

    channel: str = string(1)
    limit: int = integer(7, Kind.INT32)
    since: StreamPosition | None = part(8, lambda: StreamPosition)
    reverse: bool = boolean(9)


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Ask for an answer."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Tell the application something, without an answer."""

    data: bytes = raw(1)


@dataclass(frozen=True, slots=True)
class RPCRequest:
    """Call a method of the application."""

    data: bytes = raw(1)
    method: str = string(2)


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """Go on with a new token."""

    token: str = string(1)


@dataclass(frozen=True, slots=True)
class SubRefreshRequest:
    """Go on with a new token in a channel; ``type`` is 0 except for polls, which are not spoken here."""

    channel: str = string(1)
    token: str = string(2)
    type: int = integer(3, Kind.INT32)


Request = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | PresenceStatsRequest
    | HistoryRequest
    | PingRequest
    | SendRequest
    | RPCRequest
    | RefreshRequest
    | SubRefreshRequest
)


@dataclass(frozen=True, slots=True)
class Command:
    """One request of a client. Without ``id`` and request, it is a pong."""

    id: int = integer(1)
    connect: ConnectRequest | None = part(4, lambda: ConnectRequest)
    subscribe: SubscribeRequest | None = part(5, lambda: SubscribeRequest)
    unsubscribe: UnsubscribeRequest | None = part(6, lambda: UnsubscribeRequest)
    publish: PublishRequest | None = part(7, lambda: PublishRequest)
    presence: PresenceRequest | None = part(8, lambda: PresenceRequest)
    presence_stats: PresenceStatsRequest | None = part(9, lambda: PresenceStatsRequest)
    history: HistoryRequest | None = part(10, lambda: HistoryRequest)
    ping: PingRequest | None = part(11, lambda: PingRequest)
    send: SendRequest | None = part(12, lambda: SendRequest)
    rpc: RPCRequest | None = part(13, lambda: RPCRequest)
    refresh: RefreshRequest | None = part(14, lambda: RefreshRequest)
    sub_refresh: SubRefreshRequest | None = part(15, lambda: SubRefreshRequest)

    @property
    def request(self) -> Request | None:
        """The first request in it."""
        for field in fields_of(Command)[1:]:
            request: Request | None = getattr(self, field.name)
            if request is not None:
                return request
        return None
