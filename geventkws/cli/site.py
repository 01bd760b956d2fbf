"""Several servers of one application and its services: started together, and stopped together."""

from __future__ import annotations

import errno
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gevent
from gevent.event import Event

from geventkws import WebSocketCloseReasonCode, WebSocketServer
from geventkws.cli import logs
from geventkws.cli.errors import ADDRESS, USAGE, Failure, broken
from geventkws.cli.health import Health
from geventkws.server.hooks import Hook, Hooks
from geventkws.server.signals import stopping_on_signals

logger = logging.getLogger("geventkws.server")

REMEDIES = {
    errno.EADDRINUSE: "is it running already? --bind chooses another",
    errno.EACCES: "ports below 1024 need root, and the directory of a Unix socket must be writable",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


class Site:
    """What one process serves."""

    def __init__(
        self,
        servers: Sequence[tuple[str, WebSocketServer]],
        *,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
        health: Health | None = None,
        drain_delay: float = 0,
        beside: Sequence[tuple[str, WebSocketServer]] = (),
    ) -> None:
        """Take the servers, each with the address given for it.

        Those ``beside`` report on the others: they start after them, and stop when they have stopped.
        """
        self._addresses = servers
        self.servers = [server for _, server in servers]
        self._beside = beside
        self._hooks = Hooks(on_start, on_stop)
        self._health = health
        self._drain_delay = drain_delay
        self._begun_to_stop = False
        self._over = Event()

    def run(self) -> None:
        """Serve until ``stop`` is done. SIGTERM and SIGINT call ``stop``, and SIGHUP calls ``reread``."""
        with stopping_on_signals(self.stop):
            reread = gevent.signal_handler(signal.SIGHUP, self.reread)
            try:
                self.start()
                self._over.wait()
            finally:
                reread.cancel()

    def stop(self) -> None:
        """Let the health check say so; ``drain_delay`` seconds later, stop all servers. Idempotent."""
        if not self._begun_to_stop:
            self._begun_to_stop = True
            if self._health is not None:
                self._health.draining = True
            if self._drain_delay:
                logger.info("Draining: the listeners close in %g s", self._drain_delay)
                gevent.sleep(self._drain_delay)
            self._hooks.stop(self.servers[0].stop_timeout)
            self._stop_servers(None)

    def restart(self, timeout: float) -> None:
        """Stop in favour of a new process: WebSockets are closed with 1012, and clients may reconnect."""
        self._begun_to_stop = True
        self._hooks.stop(timeout)
        self._stop_servers(timeout, WebSocketCloseReasonCode.SERVICE_RESTART)

    def reread(self) -> None:
        """Read the certificates again and reopen the log files; log any certificate that cannot be used."""
        logs.reopen()
        for address, server in self._addresses:
            if server.ssl_context is not None:
                try:
                    server.reload_certificates()
                except OSError as error:
                    logger.error("%s keeps the certificates it has: %s", address, error)
                else:
                    logger.info("%s: the certificates were read again", address)

    def start(self) -> None:
        """Start all servers, and call ``on_start``; on failure, stop those that have started."""
        try:
            for address, server in (*self._addresses, *self._beside):
                with listening(address):
                    server.start()
            self._run_on_start()
        except BaseException:
            self._stop_servers(0)
            raise

    def _run_on_start(self) -> None:
        try:
            self._hooks.start()
        except Exception as error:
            raise broken("--on-start", error) from error

    def _stop_servers(self, timeout: float | None, reason: WebSocketCloseReasonCode | None = None) -> None:
        gevent.joinall([gevent.spawn(server.stop, timeout, reason) for server in self.servers])
        for _, server in self._beside:
            server.stop(timeout)
        self._over.set()


@contextmanager
def listening(address: str) -> Iterator[None]:
    """Turn an error in the block, which listens on ``address``, into a failure that says what to do."""
    try:
        yield
    except OverflowError as error:  # a port
        raise Failure(USAGE, f"cannot listen on {address}: {error}") from None
    except OSError as error:
        # gevent adds the address to the system's text.
        reason = (error.strerror or str(error)).partition(":")[0]
        remedy = f"; {REMEDIES[error.errno]}" if error.errno in REMEDIES else ""
        raise Failure(ADDRESS, f"cannot listen on {address}: {reason}{remedy}") from None
