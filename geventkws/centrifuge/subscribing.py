"""How a subscription begins: what was missed goes into the reply, and what comes meanwhile follows it."""

from __future__ import annotations

from math import ceil
from time import time
from typing import Any

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.grants import Subscribed
from geventkws.centrifuge.namespaces import Namespace, Namespaces
from geventkws.centrifuge.protocol.errors import ClientError, ErrorCode
from geventkws.centrifuge.protocol.replies import SubscribeResult
from geventkws.centrifuge.protocol.requests import SubscribeRequest
from geventkws.centrifuge.publications import publication_of
from geventkws.centrifuge.subscription import ClientSubscriber
from geventkws.pubsub import Position, Publication, PubSub
from geventkws.pubsub.broker import Stream
from geventkws.pubsub.values import size_of

REPLY_SIZE = 256 * 1024
"""How many bytes of missed publications go into the reply; the others follow as if they came just now."""

REJECT_UNRECOVERED = 2
"""The bit of ``flag`` by which a client asks for error 112 if it cannot get everything it has missed."""

NO_REQUEST = SubscribeRequest()


class Begun:
    """A subscription that has begun: ``go_live`` is to be called after the ``result`` was sent."""

    def __init__(
        self,
        subscriber: ClientSubscriber,
        result: SubscribeResult,
        rest: list[Publication],
        top: Position | None,
    ) -> None:
        self.result = result
        self._subscriber = subscriber
        self._rest = rest
        self._top = top

    def go_live(self) -> None:
        """Send what did not fit into the result, and what has come meanwhile; from now on, what comes."""
        self._subscriber.go_live(self._rest, self._top)


class Subscribing:
    """Lets subscriptions begin."""

    def __init__(self, pubsub: PubSub, namespaces: Namespaces, recovery_limit: int) -> None:
        self._pubsub = pubsub
        self._namespaces = namespaces
        self._recovery_limit = recovery_limit

    def begin(
        self,
        client: Client,
        user: str,
        channel: str,
        granted: Subscribed,
        request: SubscribeRequest = NO_REQUEST,
    ) -> Begun:
        """Subscribe a client. Raises ``ClientError`` if that cannot be done as requested."""
        namespace = self._namespaces.of(channel)
        subscriber = ClientSubscriber(client, namespace, granted)
        client.has_expiries |= granted.expires_at is not None
        info = _info(client, user, granted.info)
        with self._pubsub._attached(client.connection, channel, subscriber, info):
            return self._begin(client, channel, subscriber, granted, namespace, request)

    def info_of(self, client: Client, channel: str) -> dict[str, Any]:
        """Return who a client is, as others see it in a channel."""
        subscriber = self._pubsub._subscriber(client.connection, channel)
        info = subscriber.info if isinstance(subscriber, ClientSubscriber) else None
        return _info(client, client.name, info)

    def _begin(
        self,
        client: Client,
        channel: str,
        subscriber: ClientSubscriber,
        granted: Subscribed,
        namespace: Namespace,
        request: SubscribeRequest,
    ) -> Begun:
        stream = self._missed(channel, request, namespace)
        recovered = request.recover and stream is not None and stream.complete
        if request.recover and not recovered and request.flag & REJECT_UNRECOVERED:
            raise ClientError(ErrorCode.UNRECOVERABLE_POSITION)
        missed = stream.publications if stream is not None and recovered else []
        first, rest = _split(missed)
        top = stream.top if stream is not None else None
        position = first[-1].position if rest else top
        expires, ttl = remaining(granted.expires_at)
        result = SubscribeResult(
            expires=expires,
            ttl=ttl,
            recoverable=namespace.recover,
            positioned=namespace.recover or namespace.positioned,
            epoch=position.epoch if position else "",
            offset=position.offset if position else 0,
            publications=tuple(publication_of(client.codec, publication) for publication in first),
            recovered=recovered,
            was_recovering=request.recover,
            data=client.encoded(granted.data),
        )
        return Begun(subscriber, result, rest, top)

    def _missed(self, channel: str, request: SubscribeRequest, namespace: Namespace) -> Stream | None:
        """Return what a client has missed, and where the channel stands now, if that is of any use."""
        if not namespace.recover and not namespace.positioned:
            return None
        epoch = request.epoch
        if not (request.recover and namespace.recover and epoch):
            stream = self._pubsub._stream(channel, None, 0)._replace(complete=False)
            if not (request.recover and namespace.recover) or request.offset:
                return stream
            epoch = stream.top.epoch  # the client has nothing yet, and wants all that there ever was
        since = Position(request.offset, epoch)
        stream = self._pubsub._stream(channel, since, self._recovery_limit + 1)
        if len(stream.publications) > self._recovery_limit:
            return Stream(stream.top, [], False)
        return stream


def _info(client: Client, user: str, channel_info: Any) -> dict[str, Any]:
    return {"user": user, "client": client.id, "conn": client.info, "chan": channel_info}


def remaining(expires_at: float | None) -> tuple[bool, int]:
    """Return whether something expires, and in how many seconds."""
    return expires_at is not None, 0 if expires_at is None else max(1, ceil(expires_at - time()))


def _split(missed: list[Publication]) -> tuple[list[Publication], list[Publication]]:
    """Return the publications for the reply, one at least, and the others."""
    size = 0
    for index, publication in enumerate(missed):
        size += size_of(publication)
        if size > REPLY_SIZE and index:
            return missed[:index], missed[index:]
    return missed, []
