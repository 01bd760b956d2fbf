"""The server for all clients: the services that the checks need, over ws and wss."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import gevent
from gevent.event import AsyncResult

from geventkws import (
    HandshakeError,
    ServiceRegistry,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    broadcast,
)
from geventkws.centrifuge import CentrifugeService, Client, Connected, Namespace
from geventkws.pubsub import PubSub
from geventkws.request import Request
from tests.certificates import HOST, Certificates
from tests.waiting import PATIENCE

Scheme = Literal["ws", "wss"]
SCHEMES: tuple[Scheme, ...] = ("ws", "wss")

IDLE_TIMEOUT = 1.5
"""Seconds of silence after which the service at /idle drops a connection."""

GREETING = "Grüß Gott!"
"""What the service at /greeting sends."""


class Echo(WebSocketService):
    """Sends back what it receives."""

    subprotocols = ("superchat", "chat")

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        connection.send(message)


class CompressedEcho(Echo):
    """Sends back what it receives, compressed if the client can do that."""

    compression = True


class Idle(WebSocketService):
    """Drops a client that does not answer its pings; when asked, says how much it has received."""

    connection_timeout = IDLE_TIMEOUT

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        traffic = connection.traffic
        connection.send(json.dumps([traffic.messages_received, traffic.bytes_received]))


class Greeting(WebSocketService):
    """Greets, and says goodbye."""

    def connected(self, connection: WebSocketConnection) -> None:
        connection.send(GREETING)
        connection.close()


class Refusing(Echo):
    """Lets nobody in; otherwise, it would send back what it receives."""

    def connecting(self, request: object) -> None:
        raise HandshakeError(403, "Nobody is let in here")


class Room(WebSocketService):
    """Passes each message on to the others."""

    def __init__(self) -> None:
        self.connections: dict[str, WebSocketConnection] = {}

    def connected(self, connection: WebSocketConnection) -> None:
        self.connections[connection.id] = connection

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        broadcast([other for other in self.connections.values() if other is not connection], message)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        del self.connections[connection.id]


class Cutting(CentrifugeService):
    """Lets everybody in, and cuts off who asks for it, while something is published for them."""

    def __init__(self) -> None:
        channels = Namespace(
            history_size=100, recover=True, may_subscribe="everyone", may_publish="subscribers"
        )
        super().__init__(PubSub(), namespaces={"": channels})

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        return Connected("somebody")

    def rpc(self, client: Client, method: str, data: Any) -> None:
        client.connection._abandon()
        for message in data["messages"]:
            self.pubsub.publish(data["channel"], json.dumps(message))


class Ledger:
    """Records how connections ended, by a name that the client chose."""

    def __init__(self) -> None:
        self._endings: dict[str, AsyncResult[Any]] = {}

    def ending(self, name: str) -> AsyncResult[Any]:
        """Return the code and text of an ending, which may be yet to come."""
        return self._endings.setdefault(name, AsyncResult())

    def wait(self, name: str) -> tuple[int, str]:
        """Wait for an ending."""
        with gevent.Timeout(PATIENCE, TimeoutError(f"{name} did not end")):
            ending: Any = self.ending(name).get()
        code, reason = ending
        return code, reason


class Presence(WebSocketService):
    """Records in the ledger how its connections, at /presence/<name>, end."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        connection.send(message)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        ending = (int(reason), connection.close_description)
        self.ledger.ending(connection.path_params["name"]).set(ending)


class Commands(WebSocketService):
    """Does what a client says, in JSON: ``["close", 4000, "text"]``."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        command, *arguments = json.loads(message)
        if command == "close":
            connection.close(*arguments)
        elif command == "drop":
            connection.drop(*arguments)
        elif command == "vanish":
            connection._abandon()  # as ``WebSocketServer.stop`` does with who is left at its end
        elif command == "count":
            for number in range(arguments[0]):
                connection.send(str(number))
        elif command == "ending":
            connection.send(json.dumps(self.ledger.wait(*arguments)))
        else:
            raise ValueError(f"there is no command {command!r}")


@dataclass(frozen=True)
class Ground:
    """A running server for clients, with the ledger of its service at /presence."""

    scheme: Scheme
    port: int
    cafile: str
    """The file with the certificate of the server certificate's issuer."""
    ledger: Ledger = field(repr=False)

    @property
    def url(self) -> str:
        """The address for WebSocket clients, without a slash at the end."""
        return f"{self.scheme}://{HOST}:{self.port}"

    @property
    def page_url(self) -> str:
        """The same server's address for pages."""
        return "http" + self.url.removeprefix("ws")

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make programs trust the server's certificate."""
        return {"NODE_EXTRA_CA_CERTS": self.cafile, "SSL_CERT_FILE": self.cafile}


class Mistakes(logging.Handler):
    """Collects the errors that a server logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextmanager
def mistakes_shown() -> Iterator[None]:
    """Fail if a server logs an error: nothing that a client does is an error of the server."""
    handler, logger = Mistakes(), logging.getLogger("geventkws.server")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    assert not handler.texts, "\n".join(handler.texts)


@contextmanager
def ground(
    scheme: Scheme,
    certificates: Certificates,
    cafile: str,
    application: Callable[..., Any] | None = None,
    **options: Any,
) -> Iterator[Ground]:
    """Run a server for clients."""
    ledger, services = Ledger(), ServiceRegistry()
    services.register(Echo(), on_path="echo")
    services.register(CompressedEcho(), on_path="compressed")
    services.register(Idle(), on_path="idle")
    services.register(Greeting(), on_path="greeting")
    services.register(Refusing(), on_path="refused")
    services.register(Room(), on_path="room")
    services.register(Cutting(), on_path="centrifuge")
    services.register(Presence(ledger), on_path="presence/<name>")
    services.register(Commands(ledger), on_path="commands")
    if scheme == "wss":
        options["ssl_context"] = certificates.server()
    server = WebSocketServer((HOST, 0), application, services, **options)
    server.start()
    with mistakes_shown():
        try:
            yield Ground(scheme, server.server_port or 0, cafile, ledger)
        finally:
            server.stop(timeout=1)
