"""The server: accepts connections, serves HTTP on them, and keeps track of the WebSockets they become."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gevent import Greenlet, get_hub, getcurrent
from gevent.server import StreamServer

from geventkws.http.context import AccessEntry, Application, HTTPContext, no_application
from geventkws.http.environ import EnvironBuilder
from geventkws.http.log import access_logger
from geventkws.loop import leaf
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.net.address import Address
from geventkws.net.certificates import CertificateFiles, Path
from geventkws.net.listeners import (
    SYSTEMD,
    Listener,
    SocketFile,
    UnixAddress,
    bind_tcp,
    inherited,
    unix_address,
)
from geventkws.net.tls import check_context
from geventkws.net.transport import PlainTransport
from geventkws.options import Options, ServerOptions
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.registry import ServiceRegistry
from geventkws.request import Request
from geventkws.server.access_log import log_request, log_websocket
from geventkws.server.arrival import take_in
from geventkws.server.connections import Connections
from geventkws.server.exhaustion import is_exhaustion, pause_accepting
from geventkws.server.forking import forsake_after_fork
from geventkws.server.hooks import Hooks
from geventkws.server.hub_log import log
from geventkws.server.observer import Observer, check_observer
from geventkws.server.reception import Reception
from geventkws.server.shutdown import Shutdown
from geventkws.server.signals import stopping_on_signals
from geventkws.server.spawning import Spawning
from geventkws.server.start_up import (
    announce,
    check_application,
    check_backlog,
    check_files,
    check_listener,
    check_services,
    check_spawn,
)
from geventkws.server.upgrade import build_environ, upgrade
from geventkws.server.watchdog import Watchdog
from geventkws.websocket.arguments import close_code
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.lifecycle import Lifecycle

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger("geventkws.server")

MAX_WAITING = 1024
"""How many connections are taken out of the listener's queue, at most, when the server stops."""


class WebSocketServer(StreamServer):
    """A gevent ``StreamServer`` for a WSGI application and WebSocket services, on one port.

    ``listener`` is a (host, port) tuple, a ``"host:port"`` string or a listening socket, as gevent takes
    it, ``"unix:/run/app.sock"``, or ``"systemd"`` for the socket that systemd passes on (``"systemd:web"``
    for one of several). ``application`` is a WSGI application (PEP 3333), without which plain HTTP gets
    404; ``services`` a ``ServiceRegistry``, by default the process-wide one of ``WebSocket.register``;
    ``backlog`` and ``spawn`` are gevent's, except that ``spawn`` makes a greenlet for each request, not for
    each connection. ``certfile`` (with ``keyfile``, if the key is in a file of its own) or an ``ssl_context``
    make it https and wss; ``certificates`` maps further names of the server, ``"www.example.org"`` or
    ``"*.example.org"``, to their (certfile, keyfile). ``metrics`` counts what happens, for Prometheus
    (``geventkws.metrics.Metrics``). ``options`` are the fields of ``ServerOptions``.

    Raises ``TypeError`` or ``ValueError``, whose text says what to write instead, for anything that it cannot
    serve or listen on, and for an option that does not exist or makes no sense; ``OSError``, which names the
    file, for a certificate or key that cannot be used.
    """

    stopping = False
    """Whether ``stop`` has been called."""

    def __init__(
        self,
        listener: Listener,
        application: Application | None = None,
        services: ServiceRegistry | None = None,
        *,
        backlog: int | None = None,
        spawn: Any = "default",
        keyfile: Path | None = None,
        certfile: Path | None = None,
        certificates: Mapping[str, tuple[Path, Path | None]] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        metrics: Observer | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_application(application)
        check_spawn(spawn)
        check_backlog(backlog)
        check_files(certfile, keyfile, certificates, ssl_context)
        self.options = ServerOptions.from_keywords(options)
        self.stop_timeout = self.options.stop_timeout  # gevent's name for it
        self.services = check_services(services)
        self.application = application
        self._certificates: CertificateFiles | None = None
        if certfile is not None:
            self._certificates = CertificateFiles(certfile, keyfile, certificates)
            ssl_context = self._certificates.load()
        self.ssl_context = None if ssl_context is None else check_context(ssl_context)
        self._connections: Connections
        self._socket_file: SocketFile | None = None
        self._watchdog: Watchdog | None = None
        self._spawning = None if spawn == "default" else Spawning(self)
        self._told: set[str] = set()
        self._observer: Observer | None = check_observer(metrics)
        self._lifecycle = Lifecycle(self)
        self._hooks = Hooks(self.options.on_start, self.options.on_stop)
        # gevent's annotations know less of what it takes.
        super().__init__(cast(Any, listener), backlog=backlog, spawn=spawn)

    @property
    def websockets(self) -> frozenset[WebSocketConnection]:
        """The WebSocket connections that are not over, as a copy."""
        return frozenset(self._connections.websockets) if hasattr(self, "_connections") else frozenset()

    @property
    def http_connections(self) -> int:
        """How many connections speak HTTP now."""
        if not hasattr(self, "_connections"):
            return 0
        return len(self._connections.peers) - len(self._connections.websockets)

    def reload_certificates(self) -> None:
        """Read the files of ``certfile``, ``keyfile`` and ``certificates`` again, for future connections.

        Raises ``OSError`` (``ssl.SSLError`` is one) for a file that cannot be used, and goes on with the
        certificates it has; ``RuntimeError`` if there are no files. If you passed an ``ssl_context``, call
        its ``load_cert_chain`` instead.
        """
        if self._certificates is None:
            raise RuntimeError("the server was made without certfile: there is nothing to read again")
        self.ssl_context = check_context(self._certificates.load())
        if hasattr(self, "_reception"):
            self._reception.ssl_context = self.ssl_context

    # Start and stop

    def set_listener(self, listener: Any) -> None:
        """Take the listener (called by gevent)."""
        check_listener(listener)
        # An address of a kind that gevent does not know; it only passes it on to ``get_listener``.
        address: Any = unix_address(listener, self.options.unix_socket_mode, self.options.unix_socket_owner)
        if address is not None:
            self.family, self.address = socket.AF_UNIX, address
        elif isinstance(listener, str) and listener.partition(":")[0] == SYSTEMD:
            super().set_listener(inherited(listener))
        else:
            super().set_listener(listener)

    @classmethod
    def get_listener(cls, address: Any, backlog: int | None = None, family: int | None = None) -> Any:
        """Return the listening socket (called by gevent)."""
        backlog = cls.backlog if backlog is None else backlog
        if isinstance(address, UnixAddress):
            return address.bind(backlog)
        return bind_tcp(address, backlog, socket.AF_INET if family is None else family)

    def init_socket(self) -> None:
        bound = not hasattr(self, "socket")
        super().init_socket()
        self.socket.setblocking(False)  # another process that listens on it may be the first to accept
        if bound and self.family == socket.AF_UNIX:
            self._socket_file = SocketFile(str(self.address))
        if self.socket.family != socket.AF_UNIX:
            # Accepted sockets inherit it: an answer must not wait for the peer's acknowledgements.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Start accepting connections, and call ``on_start``; return at once.

        Raises ``OSError`` if the address is not available. If ``on_start`` raises, the server stops again.
        """
        self.init_socket()
        self._loop = Loop.current()
        self._connections = Connections(self._loop, self.options.max_connection_age)
        for limit in self.options.time_limits():
            self._connections.watch(limit)
        self._connections.start_clock()
        self._shutdown = Shutdown(self._loop, self._connections)
        builder = EnvironBuilder(
            self.server_host or "", self.server_port or "", secure=self.ssl_context is not None
        )
        self.build_environ: Callable[[Request], dict[str, Any]] = partial(build_environ, builder)
        http = HTTPContext(
            environ=builder,
            application=self.application or no_application,
            options=self.options,
            on_upgrade=partial(upgrade, self),
            log_access=_log_request,
            warn_once=self._warn_once,
        )
        if self._spawning is not None:
            http.start = self._spawning.start
        self._reception = Reception(
            self.options, self.ssl_context, self._connections, http, _log_request, self._connection_gone
        )
        http.on_over = self._reception.forget
        if self._observer is not None:
            self._observer.begin(self, http, self._connections)
        forsake_after_fork(self)
        super().start()
        if self.options.block_warning is not None:
            self._watchdog = Watchdog(self._loop, self.options.block_warning)
            self._watchdog.start()
        self._announce()
        self._call_on_start()

    def _announce(self) -> None:
        announce(self.socket, secure=self.ssl_context is not None)

    def _call_on_start(self) -> None:
        try:
            self._hooks.start()
        except BaseException:
            self.stop(timeout=0)
            raise

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start, unless that has been done; return when ``stop`` has been called and has finished.

        In the main thread, SIGTERM and SIGINT (Ctrl-C) call ``stop(stop_timeout)``, and a second one ends the
        process at once. A signal for which the program has set its own handler is left to that.
        """
        with stopping_on_signals(partial(self.stop, stop_timeout)):
            super().serve_forever(stop_timeout)

    def close(self) -> None:
        """Stop accepting connections."""
        super().close()
        if self._socket_file is not None:
            self._socket_file.remove()
            self._socket_file = None

    def stop(self, timeout: float | None = None, reason: int | None = None) -> None:
        """Stop: no new connections or requests; every WebSocket is closed, after what it was sent.

        It is closed with ``reason`` (``drain_code`` by default, 1001), once the messages that have arrived
        are handled. With ``drain_window``, they are closed one after the other.

        Waits up to ``timeout`` seconds (``stop_timeout`` by default) until all requests have been answered
        and all services have been called with ``disconnected``. Connections that are left then are dropped,
        and their callbacks have a second to notice; one that blocks even longer does not hold up ``stop``.
        Finally, clients have a second to read what was sent and to close. Idempotent: a call during another
        waits with it, and can shorten its time but not extend it.

        May be called from anywhere. In a callback or an application, it waits for all connections but its
        own; in another thread, it waits until the server's thread has done it. In the hub itself (a signal
        handler of the standard library), where nothing can wait, it returns at once.
        """
        code = close_code(self.options.drain_code if reason is None else reason, None)
        if not hasattr(self, "_shutdown"):
            self.close()
        elif self._loop.is_foreign_thread():
            self._loop.wait_for_call(self.stop, timeout, reason)
        elif getcurrent() is get_hub():
            Greenlet.spawn(self.stop, timeout, reason)
        else:
            self._hooks.stop(self.stop_timeout if timeout is None else timeout)
            self._leave_listener()
            self._shutdown.run(timeout, self.stop_timeout, code, self.options.drain_window or 0.0)
            if self._watchdog is not None:
                self._watchdog.stop()
            if self._observer is not None:
                self._observer.end(self)

    def _leave_listener(self) -> None:
        """Stop accepting, but take in who waits in the listener's queue: closing it would reset them."""
        if not self.stopping:
            for _ in range(MAX_WAITING):
                arrived = self.do_read()
                if arrived is None:
                    break
                self.handle(*arrived)
            self.stopping = self._reception.is_closing = True
        self.close()

    # In a child process, where everything belongs to the parent

    def _descriptors(self) -> Iterator[int]:
        if hasattr(self, "socket"):
            yield self.socket.fileno()
        yield from self._connections.descriptors()

    def _forsake(self) -> None:
        server: Any = self  # gevent does not declare all of its attributes
        server.stop_accepting()
        self.stopping = True
        self._socket_file = None
        if self._spawning is not None:
            self._spawning.forsake()
        self._hooks.forsake()
        self._shutdown.forsake()
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._observer is not None:
            self._observer.forsake()

    # Connections

    # What ``do_read`` returns, a transport and not a socket, gevent passes on to ``do_handle``.

    def do_read(self) -> Any:
        listener = vars(self).get("socket")
        if listener is None or self.stopping:
            return None  # a request that came with a connection has stopped the server, or this is a child
        try:
            accepted = leaf.accept(listener)
        except OSError as error:
            if not is_exhaustion(error):
                raise
            pause_accepting(self, error)
            return None
        return accepted and (PlainTransport(accepted[0], blocks=False), accepted[1])

    def do_handle(self, *args: Any) -> None:
        """Call ``handle``, as overridden, in the hub (called by gevent)."""
        self.handle(*args)

    def handle(self, transport: Any, address: Address) -> None:
        """Serve a connection, which needs no greenlet until it asks for something. In the hub.

        As in gevent, a subclass may override this, to look at the ``address`` for example. What it does
        before it calls this one must not wait, and all it can do with ``transport`` is to pass it on or
        close it.
        """
        if self.stopping:
            transport.close()
            return
        channel = Channel(self._loop, transport)
        try:
            take_in(self._reception, channel, address)
        except BaseException:
            channel.release()
            self._reception.forget(channel)
            raise

    def set_spawn(self, spawn: Any) -> None:
        """Take what makes greenlets (called by gevent). A full pool holds up requests, not connections."""
        super().set_spawn(spawn)
        vars(self)["full"] = lambda: False

    def _connection_gone(self) -> None:
        if self.stopping:
            self._shutdown.connection_gone()

    def _warn_once(self, mistake: str) -> None:
        if mistake not in self._told:
            self._told.add(mistake)
            log(logger.warning, "%s", mistake)

    # WebSockets

    def websocket_opened(self, connection: WebSocketConnection) -> None:
        """Watch the time limits of a new connection (called by ``upgrade``)."""
        self._connections.watch(connection.service.connection_timeout)
        if connection._meter is not None:
            self._connections.watch(connection.service.rate_burst)
        if self._observer is not None:
            self._observer.websocket_opened(self, connection)
        if self.stopping:
            connection._leave(self._shutdown.reason)

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Remove a connection that is over from the table (called by the connection)."""
        self._reception.forget(connection._channel)
        if self._observer is not None:
            self._observer.websocket_closed(connection, reason)
        if not access_logger.isEnabledFor(logging.INFO):
            return
        log(log_websocket, connection, reason)


def _log_request(entry: AccessEntry) -> None:
    log(log_request, entry)
