"""What the API answers, in the objects that its clients expect."""

from __future__ import annotations

import base64
from typing import Any

from geventkws.centrifuge.protocol.errors import ClientError
from geventkws.centrifuge.protocol.json_codec import load
from geventkws.centrifuge.protocol.parts import ClientInfo
from geventkws.centrifuge.publications import info_of, unpacked
from geventkws.pubsub import NodeInfo, Position, Publication
from geventkws.version import __version__


def error(raised: ClientError) -> dict[str, Any]:
    """Return the answer to a request that has failed."""
    return {"error": {"code": raised.error.code, "message": raised.error.message}}


def position(at: Position | None) -> dict[str, Any]:
    """Return a position, nothing in a channel without history."""
    return {} if at is None else {"offset": at.offset, "epoch": at.epoch}


def publication(published: Publication) -> dict[str, Any]:
    """Return a publication; what is not JSON stands in ``b64data`` instead of ``data``."""
    one = unpacked(published.message, published.position.offset if published.position else 0)
    answer: dict[str, Any] = {"offset": one.offset}
    try:
        answer["data"] = load(one.data)
    except ValueError:
        answer.update(data=None, b64data=base64.b64encode(one.data).decode())
    if one.tags:
        answer["tags"] = dict(one.tags)
    if one.info is not None:
        answer["info"] = _client_info(one.info)
    return answer


def client(member: str, said: Any) -> dict[str, Any]:
    """Return somebody who has subscribed; of other services on the same channels, only the id is known."""
    try:
        info = info_of(said)
    except (KeyError, TypeError):
        info = None
    return _client_info(info or ClientInfo(client=member))


def _client_info(info: ClientInfo) -> dict[str, Any]:
    answer: dict[str, Any] = {"client": info.client, "user": info.user}
    for name in ("conn_info", "chan_info"):
        if getattr(info, name):
            answer[name] = load(getattr(info, name))
    return answer


def node(info: NodeInfo) -> dict[str, Any]:
    """Return a process."""
    return {
        "uid": info.id,
        "name": info.name,
        "version": __version__,
        "num_clients": info.connections,
        "uptime": int(info.uptime),
    }
