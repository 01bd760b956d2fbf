"""The chat: what one person writes, everybody else reads.

Plain clients exchange bare text, as in Kitura's chat: each message goes unchanged to everybody except its
sender. The page speaks JSON (``page_protocol.py``), which it asks for with the subprotocol ``chat.json``.
There, people have names and see who is here, and a sender learns that a message has arrived. Both kinds of
clients can talk to each other: the page shows a plain client as ``guest-1``, and a plain client reads what
Ann writes on the page as ``Ann: Hello``.

``broadcast`` never blocks, so there is no greenlet switch between looking at the room and acting on it, and
nothing here needs a lock.
"""

from __future__ import annotations

from collections import deque

from names import Names, NickError, clean_nick
from page_protocol import ChatError, Fields, decode, encode, said, shortened, text_of, token

from geventkws import WebSocketCloseReasonCode, WebSocketConnection, WebSocketService, broadcast

PAGE = "chat.json"
HISTORY = 50
"""Messages shown to a page that joins, or reconnects after a lost connection."""

REPLACED = WebSocketCloseReasonCode.user_defined(4000)
"""The close code for a page's earlier connection, when the same page has connected again."""


class ChatService(WebSocketService):
    """One room, with people on pages and in terminals."""

    connection_timeout = 60
    max_message_size = 64 * 1024
    subprotocols = (PAGE, "chat")

    def __init__(self) -> None:
        """Open an empty room."""
        self._room: dict[str, WebSocketConnection] = {}
        self._names = Names()
        self._history: deque[Fields] = deque(maxlen=HISTORY)

    def connected(self, connection: WebSocketConnection) -> None:
        """Let a plain client in at once; a page must first say who it is."""
        connection.context.nick = connection.context.session = None
        if connection.subprotocol != PAGE:
            connection.context.nick = self._names.guest()
            self._room[connection.id] = connection
            self._tell_pages("joined", nick=connection.context.nick)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Tell the pages, unless this client had already left."""
        self._leave(connection)

    def received_binary(self, message: bytes, connection: WebSocketConnection) -> None:
        """Disconnect a client that sends anything but text."""
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Chat-Server only accepts text messages")
        self._leave(connection)

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        """Pass a plain client's text on, or do what a page asks for."""
        if connection.subprotocol != PAGE:
            self._tell_plain_clients(message, sender=connection)
            if message.strip():
                self._tell_pages_what(connection, shortened(message))
            return
        try:
            self._serve_page(decode(message), connection)
        except ChatError as error:
            connection.send(error.encode())

    def _serve_page(self, fields: Fields, connection: WebSocketConnection) -> None:
        match fields["type"]:
            case "join":
                self._join(fields, connection)
            case "message" if connection.id not in self._room:
                raise ChatError("nick", "Join with a name first.", token(fields, "key"))
            case "message":
                text = text_of(fields)
                self._tell_plain_clients(f"{connection.context.nick}: {text}", sender=connection)
                self._tell_pages_what(connection, text, token(fields, "key"))
            case _:
                raise ChatError("invalid", "The “type” must be “join” or “message”.")

    def _tell_plain_clients(self, text: str, sender: WebSocketConnection) -> None:
        others = [one for one in self._room.values() if one.subprotocol != PAGE and one is not sender]
        broadcast(others, text)

    def _tell_pages_what(self, sender: WebSocketConnection, text: str, key: str | None = None) -> None:
        message = said(sender.context.nick, text, key)
        self._history.append(message)
        self._tell_pages("message", **message)

    def _tell_pages(self, kind: str, **fields: object) -> None:
        broadcast([one for one in self._room.values() if one.subprotocol == PAGE], encode(kind, **fields))

    def _join(self, fields: Fields, connection: WebSocketConnection) -> None:
        """Let a page in, or back in, or change its nick."""
        session = token(fields, "session")
        earlier = self._earlier(connection, session)
        nick_before = earlier.context.nick if earlier is not None else None
        try:
            nick = self._names.exchange(nick_before, clean_nick(fields.get("nick")))
        except NickError as error:
            raise ChatError("nick", str(error)) from None
        if earlier is not None:
            del self._room[earlier.id]
            if earlier is not connection:
                earlier.close(REPLACED, "This chat goes on over another connection")
        if nick_before is None:
            self._tell_pages("joined", nick=nick)
        elif nick_before != nick:
            self._tell_pages("renamed", nick=nick_before, to=nick)
        connection.context.nick, connection.context.session = nick, session
        self._room[connection.id] = connection
        people = [one.context.nick for one in self._room.values()]
        connection.send(encode("welcome", nick=nick, people=people, history=list(self._history)))

    def _earlier(self, connection: WebSocketConnection, session: str | None) -> WebSocketConnection | None:
        """Return the connection by which this page is in the room; it may be lost, but not yet given up."""
        if connection.id in self._room:
            return connection
        for one in self._room.values():
            if session is not None and one.context.session == session:
                return one
        return None

    def _leave(self, connection: WebSocketConnection) -> None:
        if self._room.pop(connection.id, None) is not None:
            self._names.release(connection.context.nick)
            self._tell_pages("left", nick=connection.context.nick)
