"""Django Channels with channels_redis on uvicorn, for the channel workloads.

The environment variable ``CHANNEL_LAYER`` names the class of the channel layer.
"""

from __future__ import annotations

import os
from typing import Any

import django
import uvicorn
from django.conf import settings as django_settings

from benchmarks.peers.channels_app import CHANNEL, ELSEWHERE, own_channels
from benchmarks.peers.command_line import ADDRESS, parse_options
from benchmarks.peers.uvicorn import settings


def configure(redis: str | None) -> None:
    """Set Django up with nothing but channels."""
    layer = {"BACKEND": os.environ["CHANNEL_LAYER"], "CONFIG": {"hosts": [redis]}}
    django_settings.configure(INSTALLED_APPS=["channels"], CHANNEL_LAYERS={"default": layer})
    django.setup()


def application() -> Any:
    """Return the ASGI application; Django must be set up."""
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import URLRouter
    from django.urls import path

    class Channel(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
        """Publishes every message to all connections."""

        async def connect(self) -> None:
            for channel in [*own_channels(self.scope["query_string"].decode())] or [CHANNEL]:
                await self.channel_layer.group_add(channel, self.channel_name)
            await self.accept()
            await self.send("ready")

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await self.channel_layer.group_send(CHANNEL, {"type": "relay", "bytes": bytes_data})

        async def relay(self, event: dict[str, Any]) -> None:
            await self.send(bytes_data=event["bytes"])

    class Publish(AsyncWebsocketConsumer):  # type: ignore[misc]
        """Publishes every message where nobody listens, and then sends it back."""

        async def connect(self) -> None:
            await self.accept()
            await self.send("ready")

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await self.channel_layer.group_send(ELSEWHERE, {"type": "relay", "bytes": bytes_data})
            await self.send(bytes_data=bytes_data)

    return URLRouter([path("channel", Channel.as_asgi()), path("publish", Publish.as_asgi())])


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    configure(options.redis)
    uvicorn.run(application(), host=ADDRESS, port=options.port, **settings(options))


if __name__ == "__main__":
    main()
