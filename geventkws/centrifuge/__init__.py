"""The Centrifuge client protocol on channels: clients that reconnect, and get what they have missed."""

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.control import disconnect_user, refresh_user, subscribe_user, unsubscribe_user
from geventkws.centrifuge.grants import Connected, Subscribed
from geventkws.centrifuge.namespaces import Namespace, Who
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect, DisconnectCode, ErrorCode
from geventkws.centrifuge.server_api.application import api
from geventkws.centrifuge.service import CentrifugeService
from geventkws.centrifuge.tokens import Tokens

__all__ = [
    "CentrifugeService",
    "Client",
    "ClientError",
    "Connected",
    "Disconnect",
    "DisconnectCode",
    "ErrorCode",
    "Namespace",
    "Subscribed",
    "Tokens",
    "Who",
    "api",
    "disconnect_user",
    "refresh_user",
    "subscribe_user",
    "unsubscribe_user",
]
