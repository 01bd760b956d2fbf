"""What is published on a channel, and how it looks to clients: made once for all clients of one format.

A message on a channel is the data alone, or if there is more to say, such as who has published it, a mark, a
header in JSON, a line feed and the data. No JSON begins with the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from geventkws.centrifuge.protocol.codec import Codec, Frame
from geventkws.centrifuge.protocol.json_codec import dump, load
from geventkws.centrifuge.protocol.parts import ClientInfo, Publication
from geventkws.centrifuge.protocol.replies import Join, Leave, Push, Reply
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF
from geventkws.pubsub import PresenceEvent
from geventkws.pubsub import Publication as Published

MARK = b"\x1e"


class InappropriateData(ValueError):
    """Data that clients of a format cannot be sent."""


def packed(
    data: bytes, info: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None
) -> Frame:
    """Return the message to publish; ``info`` is who does, as ``info_of`` takes it."""
    header = {name: value for name, value in (("info", info), ("tags", tags)) if value}
    if header or data.startswith(MARK):
        data = MARK + dump(header) + b"\n" + data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def unpacked(message: Frame, offset: int = 0) -> Publication:
    """Return the publication that a message is."""
    data, info, tags = message.encode() if isinstance(message, str) else message, None, {}
    if data.startswith(MARK):
        head, _, data = data[len(MARK) :].partition(b"\n")
        header = load(head)
        info, tags = info_of(header.get("info")), header.get("tags", {})
    return Publication(data, info, offset, tags)


def info_of(said: Mapping[str, Any] | None) -> ClientInfo | None:
    """Return who somebody is, from what channels keep of it."""
    if not said:
        return None
    conn_info, chan_info = (b"" if value is None else dump(value) for value in (said["conn"], said["chan"]))
    return ClientInfo(said["user"], said["client"], conn_info, chan_info)


def publication_of(codec: Codec, published: Published) -> Publication:
    """Return a publication for clients of a format. Raises ``InappropriateData`` if it is not for them."""
    try:
        publication = unpacked(published.message, published.position.offset if published.position else 0)
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InappropriateData(f"what was published on {published.channel!r} has a wrong header") from None
    if not codec.is_data(publication.data):
        raise InappropriateData(f"what was published on {published.channel!r} is not {codec.name.upper()}")
    return publication


def push_of(codec: Codec, published: Published) -> Frame:
    """Return a frame with a publication."""
    return codec.encode((Reply(push=Push(published.channel, pub=publication_of(codec, published))),))


def announcement_of(codec: Codec, event: PresenceEvent) -> Frame:
    """Return a frame that says who has joined or left."""
    info = info_of(event.info)
    says: Any = {"join": Join(info)} if event.joined else {"leave": Leave(info)}
    return codec.encode((Reply(push=Push(event.channel, **says)),))


# One function for each format, so that channels call it once for all clients that speak it.
PUSHES: dict[str, Callable[[Published], Frame]] = {
    codec.name: partial(push_of, codec) for codec in (JSON, PROTOBUF)
}
ANNOUNCEMENTS: dict[str, Callable[[PresenceEvent], Frame]] = {
    codec.name: partial(announcement_of, codec) for codec in (JSON, PROTOBUF)
}
