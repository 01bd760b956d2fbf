"""The worker: servers on gunicorn's sockets, from its first signal to its last."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import FrameType
from typing import Any, ClassVar

import gevent
from gevent import monkey
from gevent.event import Event
from gunicorn.workers.base import Worker as BaseWorker

from geventkws.gunicorn import settings
from geventkws.gunicorn.fork import prepare_for_the_fork, release_signals, watch_forks
from geventkws.gunicorn.logs import use_log
from geventkws.http.context import Application
from geventkws.net.listeners import native_socket
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.server.hooks import Hooks
from geventkws.server.server import WebSocketServer
from geventkws.websocket.connection import WebSocketConnection

LONGEST_BEAT = 1.0
"""Seconds between two heartbeats, at most."""

LAST_MOMENT = 2
"""Seconds after which the system ends a worker that should end at once."""

BEFORE_THE_FORK = {
    "time": monkey.patch_time,
    "threading": monkey.patch_thread,
    "queue": monkey.patch_queue,
    "select": monkey.patch_select,
    "socket": monkey.patch_socket,
    "ssl": monkey.patch_ssl,
}
"""What is patched in gunicorn's main process, which may load the application."""

AFTER_THE_FORK = {"os": monkey.patch_os, "signal": monkey.patch_signal, "subprocess": monkey.patch_subprocess}
"""What is patched only in the workers: gunicorn's main process needs it to fork and to wait."""


SEPARATE_CHANNELS = (
    "PubSub() has channels in each of the %d workers, and what one publishes does not reach the clients of"
    " the others: let them share Redis, PubSub('redis://...'), or use one worker"
)


def _patch(modules: Mapping[str, Callable[[], object]]) -> None:
    """Patch modules of the standard library, each only once: patched twice, they would fail at every fork."""
    for name, patch in modules.items():
        if not monkey.is_module_patched(name):
            patch()


class Worker(BaseWorker):
    """A gunicorn process that serves its application, and the services of ``WebSocket.register``.

    ``options`` are keywords of ``WebSocketServer``, for a subclass of your own. They override what follows
    from gunicorn's configuration; for example, ``worker_connections`` sets ``max_connections``.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    """Keywords of ``WebSocketServer``."""

    metrics: ClassVar[str | None] = None
    """A path, such as ``"/metrics"``, that is answered with metrics for Prometheus."""

    alive: bool

    _reason: WebSocketCloseReasonCode | None = None
    """What WebSockets are closed with, if that is known."""

    _ends_at_once = False

    @classmethod
    def setup(cls) -> None:
        """Patch the standard library before an application is loaded (called by gunicorn)."""
        _patch(BEFORE_THE_FORK)
        watch_forks()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse options that make no sense, before anything is forked (called by gunicorn)."""
        settings.check(settings.server_keywords(cfg, cls.options), cfg.graceful_timeout)
        settings.do_without_control_socket(cfg)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        prepare_for_the_fork()  # it comes next

    def init_process(self) -> None:
        self._awaited, self._stopped = Event(), Event()
        _patch(BEFORE_THE_FORK | AFTER_THE_FORK)
        self.set_up_logs()
        super().init_process()

    def set_up_logs(self) -> None:
        """Let geventkws log as gunicorn does."""
        use_log(self.log)

    # Signals

    def init_signals(self) -> None:
        super().init_signals()
        release_signals()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully: SIGTERM, which gunicorn may repeat."""
        self._leave(None)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End at once: SIGINT and SIGQUIT."""
        self._ends_at_once = True
        # A callback that blocks the hub is not waited for.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LAST_MOMENT)
        self._leave(None)
        self._stopped.set()

    def _leave(self, reason: WebSocketCloseReasonCode | None) -> None:
        if self.alive:
            self.alive = False
            self._reason = reason
        self._awaited.set()

    # Life

    def run(self) -> None:
        """Serve until a signal arrives, or until there have been ``max_requests``."""
        self._warn_of_channels()
        self.begin()
        beating = gevent.spawn(self._beat)
        try:
            self._awaited.wait()
            if not self._ends_at_once:
                finishing = gevent.spawn(self.finish, self._reason)
                finishing.rawlink(lambda _: self._stopped.set())
                self._stopped.wait()
        except KeyboardInterrupt:
            # An application has raised it. It must end this process alone: gunicorn's own code, of which this
            # process has a copy, would take it for Ctrl-C in the main process.
            sys.exit(1)
        finally:
            beating.kill()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may come again at any time
        if self._ends_at_once:
            self.cfg.worker_int(self)
            sys.exit(0)

    def begin(self) -> None:
        """Start a server on each of gunicorn's sockets."""
        keywords = settings.server_keywords(self.cfg, self.options)
        if self.metrics is not None:
            # Made here, since gunicorn reads its configuration again on SIGHUP, and one is enough.
            from geventkws.metrics import Metrics

            keywords["metrics"] = Metrics(self.metrics)
        self._timeout = keywords["stop_timeout"]
        self._hooks = Hooks(keywords.pop("on_start", None), keywords.pop("on_stop", None))
        self._servers = [
            self.make_server(listener, self.wsgi, **keywords) for listener in self.take_listeners()
        ]
        for server in self._servers:
            server.start()
        self._hooks.start()

    def finish(self, reason: WebSocketCloseReasonCode | None) -> None:
        """Stop all servers; WebSockets are closed with ``reason``, by default with their ``drain_code``."""
        self._hooks.stop(self._timeout)
        gevent.joinall([gevent.spawn(each.stop, self._timeout, reason) for each in self._servers])

    def take_listeners(self) -> list[Any]:
        """Return gunicorn's sockets in a form that the server accepts."""
        return [native_socket(fileno=each.sock.detach()) for each in self.sockets]

    def make_server(self, *args: Any, **keywords: Any) -> WebSocketServer:
        """Return a server that counts its requests and handshakes."""
        return Server(self._count, *args, **keywords)

    def _warn_of_channels(self) -> None:
        """Warn, in the first worker, of channels that end where a process does."""
        channels: Any = sys.modules.get("geventkws.pubsub.pubsub")  # if the application has imported them
        if self.age == 1 and self.cfg.workers > 1 and channels and channels.PubSub._any_in_memory:
            self.log.warning(SEPARATE_CHANNELS, self.cfg.workers)

    def _beat(self) -> None:
        """Let gunicorn know that the hub is not blocked; stop if gunicorn is gone."""
        while True:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                self._leave(None)
            if not self.alive and not self._awaited.is_set():  # a file has changed, and gunicorn reloads
                self._reason = WebSocketCloseReasonCode.SERVICE_RESTART
                self._awaited.set()
            gevent.sleep(min(LONGEST_BEAT, self.timeout / 2 or LONGEST_BEAT))

    def _count(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self._leave(WebSocketCloseReasonCode.SERVICE_RESTART)


class Server(WebSocketServer):
    """A server that reports each request and each handshake."""

    def __init__(
        self, count: Callable[[], None], listener: Any, application: Application | None, **keywords: Any
    ) -> None:
        """``count`` is called for each."""
        super().__init__(listener, application and partial(_counted, count, application), **keywords)
        self._count = count

    def websocket_opened(self, connection: WebSocketConnection) -> None:
        super().websocket_opened(connection)
        self._count()

    def _announce(self) -> None:
        """Say nothing: gunicorn does."""


def _counted(
    count: Callable[[], None],
    application: Application,
    environ: dict[str, Any],
    start_response: Callable[..., Any],
) -> Iterable[bytes]:
    if "geventkws.upgrade" not in environ:  # a handshake is counted when it has succeeded
        count()
    return application(environ, start_response)
