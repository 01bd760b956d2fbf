"""The methods of the API: what each of them does with its fields, and what it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gevent.pool import Pool

from geventkws.centrifuge.control import disconnect_user, refresh_user, subscribe_user, unsubscribe_user
from geventkws.centrifuge.lookups import Lookups
from geventkws.centrifuge.namespaces import Namespaces, check_name
from geventkws.centrifuge.protocol.errors import ClientError, DisconnectCode, ErrorCode
from geventkws.centrifuge.publications import packed
from geventkws.centrifuge.server_api import results
from geventkws.centrifuge.server_api.fields import Fields, refuse
from geventkws.pubsub import BrokerUnavailable, PubSub
from geventkws.pubsub.settings import Settings

logger = logging.getLogger("geventkws.centrifuge")

MAX_ITEMS = 1000
"""The most channels of a broadcast, and commands of a batch."""

CONCURRENCY = 100
"""How many publications of a broadcast are on their way to Redis at a time."""

NOT_OFFERED = frozenset(
    (
        "block_user",
        "cancel_push",
        "connections",
        "delete_user_status",
        "device_list",
        "device_register",
        "device_remove",
        "device_topic_list",
        "device_topic_update",
        "device_update",
        "get_user_status",
        "invalidate_user_tokens",
        "revoke_token",
        "send_push_notification",
        "unblock_user",
        "update_push_status",
        "update_user_status",
        "user_topic_list",
        "user_topic_update",
    )
)
"""Methods that clients of the API know, too."""

Result = dict[str, Any]


class Methods:
    """The methods, by name. ``call`` may be called in any greenlet and in any native thread."""

    def __init__(self, pubsub: PubSub, namespaces: Namespaces | None) -> None:
        self._pubsub = pubsub
        self._namespaces = namespaces
        self._lookups = Lookups(pubsub, Namespaces())
        self._methods: dict[str, Callable[[Fields], Result]] = {
            "publish": self._publish,
            "broadcast": self._broadcast,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "disconnect": self._disconnect,
            "refresh": self._refresh,
            "presence": self._presence,
            "presence_stats": self._presence_stats,
            "history": self._history,
            "history_remove": self._history_remove,
            "channels": self._channels,
            "info": self._info,
        }

    def knows(self, name: str) -> bool:
        """Return whether there is an answer for a method, if only that it is not available."""
        return name == "batch" or name in self._methods or name in NOT_OFFERED

    def call(self, name: str, values: object) -> Result:
        """Return the answer to a request."""
        if name == "batch":
            return self._answer(lambda: {"replies": [*map(self._reply, self._commands(values))]}, None)
        return self._answer(lambda: self._call(name, values), "result")

    def _answer(self, function: Callable[[], Result], name: str | None) -> Result:
        """Return a result under its name, or the error."""
        try:
            result = function()
        except ClientError as error:
            return results.error(error)
        except BrokerUnavailable as unavailable:
            logger.warning("a request to the API has failed: %s", unavailable)
            return results.error(ClientError(ErrorCode.INTERNAL))
        return result if name is None else {name: result}

    def _call(self, name: str, values: object) -> Result:
        method = self._methods.get(name)
        if method is None:
            raise ClientError(ErrorCode.NOT_AVAILABLE if name in NOT_OFFERED else ErrorCode.METHOD_NOT_FOUND)
        return method(Fields(values))

    def _commands(self, values: object) -> list[Any]:
        return Fields(values).items("commands", MAX_ITEMS)

    def _reply(self, command: object) -> Result:
        """Return the answer to a command of a batch: ``{method: fields}``."""
        if not isinstance(command, dict) or len(command) != 1:
            return results.error(ClientError(ErrorCode.BAD_REQUEST, "a command must name one method"))
        ((name, values),) = command.items()
        return self._answer(lambda: self._call(name, values), name)

    # Publishing

    def _publish(self, fields: Fields) -> Result:
        return self._publish_on(fields.channel(), *self._message(fields))

    def _broadcast(self, fields: Fields) -> Result:
        message, key = self._message(fields)
        channels = fields.items("channels", MAX_ITEMS)

        def publish(channel: object) -> Result:
            return self._answer(lambda: self._publish_on(_name(channel), message, key), "result")

        return {"responses": Pool(CONCURRENCY).map(publish, channels)}

    def _message(self, fields: Fields) -> tuple[str | bytes, str | None]:
        """Return what is to be published, and the key that nothing is published twice with."""
        fields.without("skip_history", "version", "version_epoch")
        return packed(fields.data(), tags=fields.tags()), fields.text("idempotency_key")

    def _publish_on(self, channel: str, message: str | bytes, key: str | None) -> Result:
        self._settings(channel)
        try:
            return results.position(self._pubsub.publish(channel, message, key=key))
        except ValueError as error:  # it is too large
            refuse(str(error))

    # Users

    def _subscribe(self, fields: Fields) -> Result:
        fields.without("session", "b64info", "b64data", "recover_since", "override")
        channel = fields.channel()
        self._settings(channel)
        subscribe_user(
            self._pubsub,
            fields.required("user"),
            channel,
            fields.get("info"),
            fields.get("data"),
            fields.number("expire_at"),
            fields.text("client"),
        )
        return {}

    def _unsubscribe(self, fields: Fields) -> Result:
        fields.without("session")
        user, client = fields.required("user"), fields.text("client")
        unsubscribe_user(self._pubsub, user, fields.channel(), client=client)
        return {}

    def _disconnect(self, fields: Fields) -> Result:
        fields.without("session", "whitelist")
        user, client = fields.required("user"), fields.text("client")
        said = fields.part("disconnect") or Fields({})
        code = said.number("code") or int(DisconnectCode.FORCE_NO_RECONNECT)
        try:
            disconnect_user(self._pubsub, user, code, said.text("reason") or None, client)
        except ValueError as error:  # no such code, or a long reason
            refuse(str(error))
        return {}

    def _refresh(self, fields: Fields) -> Result:
        fields.without("session", "info")
        user, client = fields.required("user"), fields.text("client")
        if fields.flag("expired"):
            disconnect_user(self._pubsub, user, DisconnectCode.EXPIRED, client=client)
        else:
            refresh_user(self._pubsub, user, fields.number("expire_at"), client)
        return {}

    # Looking

    def _presence(self, fields: Fields) -> Result:
        return {"presence": self._present(fields)}

    def _presence_stats(self, fields: Fields) -> Result:
        present = self._present(fields)
        return {"num_clients": len(present), "num_users": len({who["user"] for who in present.values()})}

    def _present(self, fields: Fields) -> dict[str, Result]:
        channel = fields.channel()
        if not self._settings(channel).presence:
            raise ClientError(ErrorCode.NOT_AVAILABLE)
        present = self._pubsub.presence(channel)
        return {member: results.client(member, said) for member, said in present.items()}

    def _history(self, fields: Fields) -> Result:
        channel, limit = fields.channel(), fields.number("limit") or 0
        since, reverse = fields.position("since"), fields.flag("reverse")
        kept = self._settings(channel).history_size
        if not kept:
            raise ClientError(ErrorCode.NOT_AVAILABLE)
        stream = self._lookups.excerpt(channel, since, kept if limit < 0 else min(limit, kept), reverse)
        if not stream.complete:
            raise ClientError(ErrorCode.UNRECOVERABLE_POSITION)
        return {
            **results.position(stream.top),
            "publications": [results.publication(one) for one in stream.publications],
        }

    def _history_remove(self, fields: Fields) -> Result:
        channel = fields.channel()
        if not self._settings(channel).history_size:
            raise ClientError(ErrorCode.NOT_AVAILABLE)
        self._pubsub.remove_history(channel)
        return {}

    def _channels(self, fields: Fields) -> Result:
        pattern = fields.text("pattern") or "*"
        check_name(pattern)
        counts = self._pubsub.channels(pattern)
        return {"channels": {channel: {"num_clients": count} for channel, count in counts.items()}}

    def _info(self, fields: Fields) -> Result:
        return {"nodes": [*map(results.node, self._pubsub.nodes())]}

    def _settings(self, channel: str) -> Settings:
        """Return what is kept of a channel; raise ``ClientError`` 102 if its namespace is unknown."""
        if self._namespaces is not None:
            self._namespaces.of(channel)
        return self._pubsub._patterns.settings_of(channel)


def _name(channel: object) -> str:
    if not isinstance(channel, str):
        refuse("channels must be strings")
    check_name(channel)
    return channel
