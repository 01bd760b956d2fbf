"""A connection held by code outside its service, such as a WSGI application: it takes the messages itself.

The greenlet that accepted the connection stands in for a worker, so none is lent until it lets go. Then
``disconnected`` is called as ever.
"""

from __future__ import annotations

from geventkws.protocol import closing
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.transitions import CONNECTED, advance, outcome_of


def hold(connection: WebSocketConnection) -> None:
    """Let the caller take the messages of a new connection, by ``receive``, until it calls ``let_go``."""
    connection._pulls = True
    connection._told = CONNECTED
    connection._greeted = True
    connection._has_news = False
    connection._working = True


def let_go(connection: WebSocketConnection, *, failed: bool = False) -> None:
    """Close a connection that was held, with 1000, or 1011 if its holder has failed.

    A request is followed by a turn of its channel, in which ``disconnected`` is called.
    """
    connection._working = False
    connection._discard_inbox()
    if failed:
        advance(connection, closing.FAILED, Code.SERVER_ERROR)
    else:
        if connection._state == closing.LEAVING:
            advance(connection, closing.HANDLED)
        advance(connection, closing.CLOSE, Code.NORMAL)


def end_of(connection: WebSocketConnection) -> Code:
    """Return the code with which a connection has ended; 1005 if that is not known yet."""
    return outcome_of(connection) or Code.NO_REASON_CODE_SENT


def has_ended(connection: WebSocketConnection) -> bool:
    """Return whether one side has closed the connection, and no message from before that is left."""
    if connection._state == closing.OPEN:
        return False
    return not (connection.active and (connection._has_messages() or connection._rest is not None))
