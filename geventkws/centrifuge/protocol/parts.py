"""What messages of both sides contain.

Names and numbers are those of the protocol's public description. What is not declared here is ignored when
it is received, and never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geventkws.centrifuge.protocol.fields import (
    Kind,
    always,
    boolean,
    integer,
    part,
    raw,
    string,
    strings_by_name,
)


@dataclass(frozen=True, slots=True)
class Error:
    """Why a command has failed; ``temporary`` says that it may succeed later."""

    code: int = integer(1)
    message: str = string(2)
    temporary: bool = boolean(3)


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who somebody is: the user, the client, and what was said when it connected and when it subscribed."""

    user: str = always(string(1))
    client: str = always(string(2))
    conn_info: bytes = raw(3)
    chan_info: bytes = raw(4)


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published in a channel; ``info`` is set if a client has done it."""

    data: bytes = raw(4)
    info: ClientInfo | None = part(5, lambda: ClientInfo)
    offset: int = integer(6, Kind.UINT64)
    tags: Mapping[str, str] = strings_by_name(7)


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """A place in the history of a channel."""

    offset: int = integer(1, Kind.UINT64)
    epoch: str = string(2)
