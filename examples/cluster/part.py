"""One program of the cluster: started, watched, started again, and stopped in the end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import gevent
from gevent.subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired

START_TIMEOUT = 60.0
"""Seconds within which a program must listen."""

STOP_TIMEOUT = 10.0
"""Seconds within which a program must end after SIGTERM; then it is killed."""

PAUSE = 0.3
"""Seconds before a program that has ended is started again."""

Address = str | tuple[str, int]
"""The path of a Unix-domain socket, or host and port."""


class StartError(Exception):
    """A program does not start; the text says why."""


def say(text: str) -> None:
    """Write a line to the terminal, if it is still there."""
    with suppress(OSError):
        print(text, flush=True)


class Part:
    """A program that listens at ``address``, if it does, and writes what it says to ``log``."""

    def __init__(
        self, name: str, command: Sequence[str], address: Address | None, log: Path, env: Mapping[str, str]
    ) -> None:
        self._name = name
        self._command = command
        self._address = address
        self._log = log
        self._env = {**os.environ, **env}
        self._process: Popen[bytes] | None = None
        self._wanted = True

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            # In a session of its own, so that a Ctrl-C in the terminal does not end it before we do.
            self._process = Popen(
                self._command,
                env=self._env,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
            )

    def wait_until_it_listens(self) -> None:
        """Wait until somebody can connect, and say where; raises ``StartError``."""
        assert self._process is not None
        end = monotonic() + START_TIMEOUT
        while not self._listens():
            if self._process.poll() is not None or monotonic() > end:
                self._process.kill()
                said = self._log.read_text(errors="replace").strip().splitlines()[-10:]
                raise StartError("\n".join([f"{self._name} does not start. It says:", *said]))
            gevent.sleep(0.02)
        where = f"port {self._address[1]}" if isinstance(self._address, tuple) else self._address or ""
        say(f"{self._name:<14} process {self._process.pid:<8} {where}")

    def _listens(self) -> bool:
        if self._address is None:
            return True
        family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
        with socket.socket(family) as probe:
            return probe.connect_ex(self._address) == 0

    def keep(self) -> None:
        """Start it again whenever it has ended, until it is stopped."""
        while self._process is not None:
            status = self._process.wait()
            if not self._wanted:
                return
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            say(f"{self._name:<14} process {self._process.pid:<8} {how}: starting it again")
            gevent.sleep(PAUSE)
            self.start()
            try:
                self.wait_until_it_listens()
            except StartError as error:
                say(str(error))
            if not self._wanted:
                self.stop()

    def ask_to_stop(self) -> None:
        """Let it end for good."""
        self._wanted = False
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """End it for good, with all processes that it has started, and wait for that."""
        self.ask_to_stop()
        if self._process is None:
            return
        with suppress(TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
