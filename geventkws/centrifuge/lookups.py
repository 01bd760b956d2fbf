"""What clients may ask about a channel: who is there, and what was published."""

from __future__ import annotations

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.namespaces import Namespaces
from geventkws.centrifuge.protocol.errors import ClientError, ErrorCode
from geventkws.centrifuge.protocol.parts import ClientInfo
from geventkws.centrifuge.protocol.replies import HistoryResult, PresenceResult, PresenceStatsResult
from geventkws.centrifuge.protocol.requests import HistoryRequest, PresenceRequest, PresenceStatsRequest
from geventkws.centrifuge.publications import info_of, publication_of
from geventkws.pubsub import Position, Publication, PubSub
from geventkws.pubsub.broker import Stream

HISTORY_LIMIT = 300
"""The most publications in one answer."""


class Lookups:
    """Answers questions about channels."""

    def __init__(self, pubsub: PubSub, namespaces: Namespaces) -> None:
        self._pubsub = pubsub
        self._namespaces = namespaces

    def presence(self, client: Client, request: PresenceRequest) -> PresenceResult:
        """Return who is there."""
        return PresenceResult(self._present(client, request.channel))

    def presence_stats(self, client: Client, request: PresenceStatsRequest) -> PresenceStatsResult:
        """Return how many are there."""
        present = self._present(client, request.channel)
        return PresenceStatsResult(len(present), len({info.user for info in present.values()}))

    def _present(self, client: Client, channel: str) -> dict[str, ClientInfo]:
        self._namespaces.check_presence(channel, client.name, channel in client.channels)
        present = {member: info_of(said) for member, said in self._pubsub.presence(channel).items()}
        return {member: info or ClientInfo(client=member) for member, info in present.items()}

    def history(self, client: Client, request: HistoryRequest) -> HistoryResult:
        """Return publications, the oldest first unless ``reverse`` is set."""
        self._namespaces.check_history(request.channel, client.name, request.channel in client.channels)
        since = None if request.since is None else Position(request.since.offset, request.since.epoch)
        limit = HISTORY_LIMIT if request.limit < 0 else min(request.limit, HISTORY_LIMIT)
        stream = self.excerpt(request.channel, since, limit, request.reverse)
        if not stream.complete:
            raise ClientError(ErrorCode.UNRECOVERABLE_POSITION)
        publications = tuple(publication_of(client.codec, one) for one in stream.publications)
        return HistoryResult(publications, stream.top.epoch, stream.top.offset)

    def excerpt(self, channel: str, since: Position | None, limit: int, reverse: bool) -> Stream:
        """Return at most ``limit`` publications: the oldest ones after ``since``.

        With ``reverse``, the latest ones before it, the latest first.
        """
        if not limit:
            return self._pubsub._stream(channel, None, 0)
        if since is not None and not reverse:
            return self._after(channel, since, limit)
        everything = self._pubsub._stream(channel, None, None)
        found = everything.publications
        if since is not None:
            if since.epoch != everything.top.epoch:
                return everything._replace(complete=False)
            found = [one for one in found if _offset(one) < since.offset]
        return everything._replace(publications=(found[::-1] if reverse else found)[:limit])

    def _after(self, channel: str, since: Position, limit: int) -> Stream:
        if not since.epoch:  # the client does not know it, and takes what there is
            everything = self._pubsub._stream(channel, None, None)
            found = [one for one in everything.publications if _offset(one) > since.offset]
            return everything._replace(publications=found[:limit])
        return self._pubsub._stream(channel, since, limit)


def _offset(publication: Publication) -> int:
    return publication.position.offset if publication.position else 0
