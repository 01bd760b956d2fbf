"""The rules for the order of what a client sends, and which format it speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from geventkws.centrifuge.protocol.codec import Codec, Frame
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect, DisconnectCode, ErrorCode
from geventkws.centrifuge.protocol.json_codec import JSONCodec
from geventkws.centrifuge.protocol.protobuf_codec import ProtobufCodec
from geventkws.centrifuge.protocol.replies import Reply
from geventkws.centrifuge.protocol.requests import Command, ConnectRequest, Request, SendRequest

SUBPROTOCOLS = ("centrifuge-json", "centrifuge-protobuf")
"""The subprotocols of WebSocket; without one, it is JSON unless the query says something else."""

JSON, PROTOBUF = JSONCodec(), ProtobufCodec()

EMPTY = Reply()


def codec_for(subprotocol: str | None, query: Mapping[str, str]) -> Codec:
    """Return the format that a client has asked for."""
    if subprotocol is not None:
        return PROTOBUF if subprotocol == "centrifuge-protobuf" else JSON
    is_protobuf = "protobuf" in (query.get("cf_protocol"), query.get("format"))
    return PROTOBUF if is_protobuf else JSON


class Session:
    """A client's side of the conversation."""

    __slots__ = ("codec", "has_connected")

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.has_connected = False
        """Whether the client has sent the command ``connect``."""

    def commands(self, frame: Frame) -> Iterable[Command]:
        """Return what is in a frame. Raises ``Disconnect`` if it is malformed."""
        try:
            return self.codec.decode(frame)
        except ValueError:
            raise Disconnect(DisconnectCode.BAD_REQUEST) from None

    def request(self, command: Command) -> Request | None:
        """Return what a command asks for, ``None`` if it is a pong.

        Raises ``Disconnect`` for what is not in order: the first command must be ``connect``, and no other
        may be; all have an id except ``send``. Raises ``ClientError`` for a command that is not known.
        """
        request = command.request
        if isinstance(request, ConnectRequest) == self.has_connected:
            raise Disconnect(DisconnectCode.BAD_REQUEST)
        self.has_connected = True
        if request is None:
            if command.id:
                raise ClientError(ErrorCode.METHOD_NOT_FOUND)
        elif not command.id and not isinstance(request, SendRequest):
            raise Disconnect(DisconnectCode.BAD_REQUEST)
        return request
