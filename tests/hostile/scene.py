"""One flood from start to end: a server, the innocents, the attacker, and SIGTERM in the middle."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.certificates import Certificates
from tests.hostile.cores import kept_waiting, of_process
from tests.programs import Program

SERVER = Path(__file__).parent / "server.py"
STOP_TIMEOUT = 0.5
"""The timeout of the server's ``stop``, in seconds."""
STOP_PATIENCE = 8.0
"""Seconds after which a server that is still running is killed."""
LOOK = 0.25
"""Seconds between two looks at a flood."""
JSON_LINE = r"(?m)^(\{.*\})\r?\n"


@dataclass(frozen=True)
class Plan:
    """A flood, by the name of its kind and its number of connections."""

    kind: str
    connections: int
    tls: bool = False
    seconds: float = 1.5

    def __str__(self) -> str:
        return f"{self.kind} on {self.connections}, {'TLS' if self.tls else 'plain'}"


@dataclass(frozen=True)
class Waits:
    """How long an innocent waited, in seconds; ``error`` if it got no answer at all."""

    longest: float
    median: float
    rounds: int
    error: str | None


@dataclass(frozen=True)
class Outcome:
    """The effects of a flood. ``seconds`` is its length, ``memory`` the server's peak in bytes."""

    plan: Plan
    about: dict[str, Any]
    seconds: float
    sent: int
    received: int
    lost: dict[str, int]
    statuses: dict[str, int]
    innocents: dict[str, Waits]
    memory: int | None
    stop: float | None
    """Seconds from SIGTERM to the server's end; ``None`` if it had to be killed."""
    log: str


@dataclass(frozen=True)
class Target:
    """The server to attack: its Python and environment, and the certificates for TLS."""

    certificates: Certificates
    authority: str
    python: str = sys.executable
    environment: dict[str, str] | None = None

    def command(self, tls: bool) -> list[str]:
        """Return the server's command line."""
        command = [self.python, str(SERVER), f"--stop-timeout={STOP_TIMEOUT}"]
        if tls:
            command += ["--certfile", self.certificates.certfile, "--keyfile", self.certificates.keyfile]
        return command


def target(directory: Path, python: str | None = None, environment: dict[str, str] | None = None) -> Target:
    """Return the server run by ``python`` (by default this one), with certificates made in ``directory``."""
    certificates = Certificates(directory)
    authority = directory / "authority.pem"
    certificates.authority.cert_pem.write_to_path(str(authority))
    return Target(certificates, str(authority), python or sys.executable, environment)


@contextmanager
def placed(server: bool) -> Iterator[None]:
    """Start programs on the first core, which is the server's, or on the others, if there are any."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        yield
        return
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    os.sched_setaffinity(0, {first} if server or not others else others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(plan: Plan, target: Target, look: Callable[[float], object] = lambda elapsed: None) -> Outcome:
    """Carry out ``plan``; ``look`` is called now and then with the seconds since the flood began."""
    with ExitStack() as stack:
        with placed(server=True):
            server = stack.enter_context(Program(*target.command(plan.tls), env=target.environment))
        about = json.loads(server.expect(JSON_LINE)[1])
        with placed(server=False):
            innocents, attacker = (stack.enter_context(each) for each in _clients(plan, target, about))
        innocents.expect("ready\n")
        attacker.expect("ready\n")
        began = time.monotonic()
        innocents.type_in("go\n")
        attacker.type_in("go\n")
        while (elapsed := time.monotonic() - began) < plan.seconds:
            look(elapsed)
            assert not server.ends_within(min(LOOK, plan.seconds - elapsed)), server.output
        innocents.type_in("end\n")
        waits = json.loads(innocents.expect(JSON_LINE)[1])
        attacker.type_in("figures\n")
        figures = json.loads(attacker.expect(JSON_LINE)[1])
        seconds = time.monotonic() - began
        memory = peak_memory(about["process"])
        stop = _stop(server, about["process"])
        attacker.end_input()
    return Outcome(
        plan,
        about,
        seconds,
        **figures,
        innocents={name: Waits(**each) for name, each in waits.items()},
        memory=memory,
        stop=stop,
        log=server.output,
    )


def _clients(plan: Plan, target: Target, about: dict[str, Any]) -> Iterator[Program]:
    common = [f"--port={about['port']}", *([f"--authority={target.authority}"] if plan.tls else [])]
    yield Program(sys.executable, "-m", "tests.hostile.innocents", f"--server={about['process']}", *common)
    flood = [f"--kind={plan.kind}", f"--connections={plan.connections}"]
    yield Program(sys.executable, "-m", "tests.hostile.attacker", *common, *flood)


def _stop(server: Program, process: int) -> float | None:
    """Send SIGTERM, while the flood goes on; return the seconds until the end, without waits for a core."""
    count = of_process(process)
    before = kept = kept_waiting(count)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    while not server.ends_within(0.01):
        kept = max(kept, kept_waiting(count))
        if time.monotonic() - began - (kept - before) > STOP_PATIENCE:
            return None
    return time.monotonic() - began - (kept - before)


def peak_memory(process: int) -> int | None:
    """Return the peak resident memory of a process in bytes, if the kernel reports it."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
