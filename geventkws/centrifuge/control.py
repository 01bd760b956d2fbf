"""What is done with all clients of a user, on whichever node they are: they are subscribed or disconnected.

May be called wherever the channels can be reached: in a service, a view or a script.
"""

from __future__ import annotations

from typing import Any

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.commands import Commands
from geventkws.centrifuge.grants import Subscribed
from geventkws.centrifuge.protocol.errors import Disconnect, DisconnectCode, UnsubscribeCode, unsubscribe
from geventkws.pubsub import PubSub
from geventkws.pubsub.settings import check_channel
from geventkws.websocket.connection import WebSocketConnection

COMMAND = "centrifuge"


def listen(pubsub: PubSub) -> None:
    """Let this process give such commands, and obey them."""
    if COMMAND not in pubsub._node.handlers:
        pubsub.on_command(COMMAND, _obey)


def _obey(connection: WebSocketConnection, details: dict[str, Any]) -> None:
    obey = getattr(connection.service, "_obey", None)
    if obey is not None:  # another service may be on the same channels
        obey(connection, details)


def _command(pubsub: PubSub, user: str, action: str, client: str | None, arguments: dict[str, Any]) -> None:
    listen(pubsub)
    pubsub.command(user, COMMAND, {"do": action, "client": client, "with": arguments})


def disconnect_user(
    pubsub: PubSub,
    user: str,
    code: int = DisconnectCode.FORCE_NO_RECONNECT,
    reason: str | None = None,
    client: str | None = None,
) -> None:
    """Close the connections of a user, or only that of the ``client`` with this id.

    ``code`` and ``reason`` are those of ``Disconnect``. Raises ``BrokerUnavailable`` as ``PubSub.command``
    does; so do the functions below.
    """
    said = Disconnect(code, reason)
    _command(pubsub, user, "disconnect", client, {"code": said.code, "reason": said.reason})


def unsubscribe_user(
    pubsub: PubSub,
    user: str,
    channel: str,
    code: int = UnsubscribeCode.SERVER,
    reason: str | None = None,
    client: str | None = None,
) -> None:
    """End the subscriptions of a user to a channel; from code 2500 on, clients subscribe again."""
    check_channel(channel)
    said = unsubscribe(code, reason)
    arguments = {"channel": channel, "code": said.code, "reason": said.reason}
    _command(pubsub, user, "unsubscribe", client, arguments)


def subscribe_user(
    pubsub: PubSub,
    user: str,
    channel: str,
    info: Any = None,
    data: Any = None,
    expires_at: float | None = None,
    client: str | None = None,
) -> None:
    """Subscribe the clients of a user to a channel; the arguments are those of ``Subscribed``."""
    check_channel(channel)
    arguments = {"channel": channel, "info": info, "data": data, "expires_at": expires_at}
    _command(pubsub, user, "subscribe", client, arguments)


def refresh_user(
    pubsub: PubSub, user: str, expires_at: float | None = None, client: str | None = None
) -> None:
    """Let the connections of a user go on until ``expires_at``, by ``time.time``; ``None`` is for ever."""
    _command(pubsub, user, "refresh", client, {"expires_at": expires_at})


class Control:
    """Obeys such commands, for the clients of one service."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def obey(self, client: Client, action: str, arguments: dict[str, Any]) -> None:
        """Do with a client what the command says."""
        if action == "disconnect":
            client.disconnect(**arguments)
        elif action == "unsubscribe":
            if arguments["channel"] in client.channels:
                client.unsubscribe(**arguments)
        elif action == "subscribe":
            granted = {name: value for name, value in arguments.items() if name != "channel"}
            self._commands.subscribe_by_server(client, arguments["channel"], Subscribed(**granted))
        elif action == "refresh":
            client.go_on(arguments["expires_at"])
