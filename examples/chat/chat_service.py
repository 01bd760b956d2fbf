"""The chat: what one person writes in a room, everybody else there reads.

A room is a channel of ``geventkws.pubsub``, which keeps its latest messages, knows who is there, and is the
same in all processes if they have a Redis in common. So nothing is kept here.

Plain clients exchange bare text, as in Kitura's chat: each message goes unchanged to everybody except its
sender. The page speaks JSON (``page_protocol.py``), which it asks for with the subprotocol ``chat.json``.
There, people have names and see who is here, and a sender learns that a message has arrived. Both kinds of
clients can talk to each other: the page shows a plain client as ``guest-1``, and a plain client reads what
Ann writes on the page as ``Ann: Hello``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from names import GUEST, NameProblem, clean_nick, clean_room
from page_protocol import ChatError, Fields, decode, encode, fields_of, position_of, said, text_of, token

from geventkws import WebSocketCloseReasonCode, WebSocketConnection, WebSocketService
from geventkws.pubsub import BrokerUnavailable, Position, PresenceEvent, Publication, PubSub

PAGE = "chat.json"
LOBBY = "lobby"
"""The room of those who have not chosen one."""

KEPT = 300
"""Messages kept for each room, for pages that come back after a lost connection."""
KEPT_FOR = 24 * 3600.0
SHOWN = 50
"""Messages shown to a page that joins."""

REPLACED = WebSocketCloseReasonCode.user_defined(4000)
"""The close code for a page's earlier connection, when the same page has connected again."""


class ChatService(WebSocketService):
    """Rooms, with people on pages and in terminals. The path's parameter ``room`` says which one."""

    connection_timeout = 60
    max_message_size = 64 * 1024
    subprotocols = (PAGE, "chat")

    def __init__(self, pubsub: PubSub | None = None) -> None:
        """Use these channels; by default, some of this process alone."""
        self._pubsub = pubsub or PubSub()
        self._pubsub.configure("room:*", history_size=KEPT, history_ttl=KEPT_FOR, presence=True)
        self._guests = itertools.count(1)

    def rooms(self) -> dict[str, int]:
        """Return the rooms that somebody is in, and how many connections each has."""
        channels = self._pubsub.channels()
        return {name.removeprefix("room:"): count for name, count in channels.items()}

    def connected(self, connection: WebSocketConnection) -> None:
        """Let a plain client in at once; a page must first say who it is."""
        try:
            room = clean_room(connection.path_params.get("room", LOBBY))
        except NameProblem as problem:
            connection.close(WebSocketCloseReasonCode.POLICY_VIOLATION, str(problem))
            return
        connection.context.channel = f"room:{room}"
        connection.context.nick = None
        if connection.subprotocol != PAGE:
            with closing_if_unavailable(connection):
                self._let_guest_in(connection)

    def received_binary(self, message: bytes, connection: WebSocketConnection) -> None:
        """Disconnect a client that sends anything but text."""
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Chat-Server only accepts text messages")

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        """Pass a plain client's text on, or do what a page asks for."""
        with closing_if_unavailable(connection):
            if connection.subprotocol != PAGE:
                fields = said(connection.context.nick, message, key=uuid.uuid4().hex, guest=True)
                self._publish(connection, encode("message", **fields), exclude=connection)
                return
            try:
                self._serve_page(decode(message), connection)
            except ChatError as error:
                connection.send(error.encode())

    def _let_guest_in(self, connection: WebSocketConnection) -> None:
        present = self._pubsub.presence(connection.context.channel)
        taken = {info["nick"] for info in present.values()}
        free = (nick for number in self._guests if (nick := f"{GUEST}{number}") not in taken)
        connection.context.nick = next(free)
        info = {"nick": connection.context.nick, "owner": connection.id}
        self._pubsub.subscribe(connection, connection.context.channel, info, transform=to_plain_client)

    def _serve_page(self, fields: Fields, connection: WebSocketConnection) -> None:
        match fields["type"]:
            case "join":
                self._join(fields, connection)
            case "message" if connection.context.nick is None:
                raise ChatError("nick", "Join with a name first.", token(fields, "key"))
            case "message":
                key = token(fields, "key") or uuid.uuid4().hex
                message = said(connection.context.nick, text_of(fields), key)
                position = self._publish(connection, encode("message", **message), key=key)
                connection.send(encode("sent", key=key, time=message["time"], position=position))
            case _:
                raise ChatError("invalid", "The “type” must be “join” or “message”.")

    def _publish(self, connection: WebSocketConnection, message: str, **options: Any) -> Position | None:
        return self._pubsub.publish(connection.context.channel, message, **options)

    def _join(self, fields: Fields, connection: WebSocketConnection) -> None:
        """Let a page in, or back in, or change its nick."""
        channel, since = connection.context.channel, position_of(fields)
        info = {"nick": nick_of(fields), "owner": owner_of(fields, connection)}
        earlier = self._claim(channel, info)
        begun = self._pubsub.subscribe(connection, channel, info, since, to_page, presence_to_page)
        self._pubsub.identify(connection, connection.id)
        nick_before = earlier.pop(connection.id, {}).get("nick")
        for id in earlier:
            self._pubsub.disconnect(id, REPLACED)
        if nick_before not in (None, info["nick"]):
            renamed = encode("renamed", id=connection.id, nick=nick_before, to=info["nick"])
            self._publish(connection, renamed, exclude=connection)
        connection.context.nick = info["nick"]
        if begun.position is not None:  # otherwise, the connection has ended
            limit = 0 if begun.recovered else SHOWN if since is None else KEPT
            history = self._history(channel, begun.position, limit)
            people = {id: one["nick"] for id, one in self._pubsub.presence(channel).items()}
            welcome = {"nick": info["nick"], "people": people, "process": os.getpid()}
            welcome |= {"recovered": begun.recovered, "history": history, "position": begun.position}
            connection.send(encode("welcome", **welcome))

    def _claim(self, channel: str, wanted: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        """Return the other connections of the same page; raise ``ChatError`` if somebody else has the nick.

        If two take a nick at the same moment on two processes, both get it: nothing worse than a mistake in a
        chat, and not worth a lock.
        """
        present: dict[str, Mapping[str, str]] = self._pubsub.presence(channel)
        for one in present.values():
            if one["owner"] != wanted["owner"] and one["nick"].casefold() == wanted["nick"].casefold():
                raise ChatError("nick", f"Somebody here is called “{wanted['nick']}” already.")
        return {id: one for id, one in present.items() if one["owner"] == wanted["owner"]}

    def _history(self, channel: str, until: Position, limit: int) -> list[Fields]:
        """Return the messages up to a position; those behind it are sent as they come."""
        if not limit:
            return []
        kept = self._pubsub.history(channel, limit=limit)
        shown = (fields_of(one) for one in kept if one.position and one.position.offset <= until.offset)
        return [fields for fields in shown if fields is not None and fields["type"] == "message"]


@contextmanager
def closing_if_unavailable(connection: WebSocketConnection) -> Iterator[None]:
    """Let the client come back later if Redis is away: a page then sends again what is not confirmed."""
    try:
        yield
    except BrokerUnavailable:
        connection.close(WebSocketCloseReasonCode.TRY_AGAIN_LATER, "The rooms are out of reach")


def to_page(publication: Publication) -> str | None:
    """Return what a page is sent."""
    fields = fields_of(publication)
    return None if fields is None else json.dumps(fields, ensure_ascii=False)


def presence_to_page(event: PresenceEvent) -> str:
    """Return what a page is told when somebody comes or goes."""
    return encode("joined" if event.joined else "left", id=event.id, nick=event.info["nick"])


def to_plain_client(publication: Publication) -> str | None:
    """Return what a plain client is sent."""
    fields = json.loads(publication.message)
    if fields["type"] != "message":
        return None
    text: str = fields["text"]
    return text if fields["guest"] else f"{fields['nick']}: {text}"


def nick_of(fields: Fields) -> str:
    """Return the nick that a page asks for."""
    try:
        return clean_nick(fields.get("nick"))
    except NameProblem as problem:
        raise ChatError("nick", str(problem)) from None


def owner_of(fields: Fields, connection: WebSocketConnection) -> str:
    """Return what the connections of one page have in common, and nobody can make a session from."""
    session = token(fields, "session")
    return connection.id if session is None else hashlib.sha256(session.encode()).hexdigest()
