"""A Redis server for the channel workloads, on a port of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable

from benchmarks.running import ADDRESS, START_TIMEOUT, Running, ServerError, free_port, pinned
from benchmarks.toolchain import MissingError

ANSWER_TIMEOUT = 60.0
"""Seconds for an answer; the server shares its core with the load generator."""


def redis_version() -> str:
    """Return the version of Redis."""
    try:
        said = subprocess.run([_program(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except MissingError:
        return "not installed"
    return next((word[2:] for word in said.split() if word.startswith("v=")), "unknown")


def _program() -> str:
    path = shutil.which("redis-server")
    if path is None:
        raise MissingError("redis-server is not installed (Debian: apt-get install redis-server)")
    return path


class RedisServer(Running):
    """A running Redis, which keeps nothing on disk and ends with the ``with`` block."""

    def __init__(self, cores: Iterable[int]) -> None:
        program = _program()
        self.port = free_port()
        self.url = f"redis://{ADDRESS}:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory()
        command = [program, "--bind", ADDRESS, "--port", str(self.port), "--dir", self._folder.name]
        command += ["--save", "", "--appendonly", "no", "--maxclients", "1000"]
        with pinned(cores):
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def stop(self) -> None:
        super().stop()
        self._folder.cleanup()

    def ask(self, command: str) -> str:
        """Send a command of words without spaces, and return the answer, a line or a text, as it is."""
        with socket.create_connection((ADDRESS, self.port), ANSWER_TIMEOUT) as connection:
            connection.sendall(f"{command}\r\n".encode())
            answer = connection.makefile("rb")
            line = answer.readline().decode().rstrip()
            return answer.read(int(line[1:])).decode() if line.startswith("$") else line

    def info(self, section: str, name: str) -> int:
        """Return a number that ``INFO`` has in a section."""
        for line in self.ask(f"INFO {section}").splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value)
        raise ServerError(f"Redis does not say its {name}")

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(f"redis-server ended with status {self._process.returncode}")
            try:
                if self.ask("PING") == "+PONG":
                    return
            except OSError:
                time.sleep(0.02)
        raise ServerError(f"redis-server did not answer within {START_TIMEOUT:g} s")
