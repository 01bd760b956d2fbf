"""Runs a peer's server as a process on a core of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.catalogue import Peer
from benchmarks.running import ADDRESS, START_TIMEOUT, Running, ServerError, free_port, pinned
from benchmarks.toolchain import ROOT, Certificate


class Server(Running):
    """A peer's running server, which ends with the ``with`` block."""

    def __init__(
        self,
        peer: Peer,
        python: Path,
        cores: Iterable[int],
        certificate: Certificate | None = None,
        flags: Iterable[str] = (),
        module: str | None = None,
    ):
        self.peer = peer
        self.port = free_port()
        program = f"benchmarks.peers.{module or peer.module}"
        command = [str(python), "-m", program, f"--port={self.port}"]
        if certificate is not None:
            command += [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}"]
        command += flags
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
        self._output = os.fdopen(descriptor, "rb")
        with pinned(cores):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **peer.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        super().stop()
        self._output.close()

    @property
    def ports(self) -> str:
        """The port, as the load generator takes it."""
        return str(self.port)

    def output(self) -> str:
        """Return the last lines that the server printed, joined into one; empty if there are none."""
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])

    def wait_until_it_answers(self) -> None:
        """Wait until a connection is accepted; raise ``ServerError`` if that takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(f"ended with status {self._process.returncode}: {self.output()}")
            try:
                socket.create_connection((ADDRESS, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ServerError(f"did not listen within {START_TIMEOUT:g} s: {self.output()}")
