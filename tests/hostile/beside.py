"""A server under attack with the innocents beside it, for attacks that a test carries out itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.judge import LONGEST_WAIT, MEDIAN_WAIT
from tests.hostile.scene import JSON_LINE, placed
from tests.programs import Program

MOST_MEMORY = 16 * 2**20
"""Bytes by which the server's resident memory may grow during an attack, by default."""


@dataclass(frozen=True)
class Attacked:
    """A running server: its program, its process and its port."""

    program: Program
    process: int
    port: int


@contextmanager
def innocents_beside(
    command: Sequence[str], authority: str | None = None, most_memory: int = MOST_MEMORY
) -> Iterator[Attacked]:
    """Run the server ``command`` while innocents use it; the caller attacks it.

    ``authority`` is the file of who issued its certificate, for TLS; ``most_memory`` is in bytes. Raises
    ``AssertionError`` if an innocent has waited too long, or had to wait in vain, and if the server has kept
    more memory than that.
    """
    with ExitStack() as stack:
        with placed(server=True):
            program = stack.enter_context(Program(*command))
        about = json.loads(program.expect(JSON_LINE)[1])
        attacked = Attacked(program, about["process"], about["port"])
        with placed(server=False):
            innocents = stack.enter_context(_innocents(attacked, authority))
        innocents.expect("ready\n")
        before = memory(attacked.process)
        innocents.type_in("go\n")
        yield attacked
        innocents.type_in("end\n")
        waits = json.loads(innocents.expect(JSON_LINE)[1])
        assert {name: found for name, each in waits.items() if (found := _complaint(each))} == {}
        assert memory(attacked.process) - before < most_memory
        assert "Traceback" not in program.output


def _innocents(attacked: Attacked, authority: str | None) -> Program:
    options = [f"--port={attacked.port}", f"--server={attacked.process}"]
    if authority is not None:
        options.append(f"--authority={authority}")
    return Program(sys.executable, "-m", "tests.hostile.innocents", *options)


def _complaint(waits: dict[str, Any]) -> str | None:
    if waits["error"] is not None:
        return str(waits["error"])
    if not waits["rounds"]:
        return "nothing was asked"
    if waits["longest"] > LONGEST_WAIT:
        return f"waited {waits['longest']:.2f} s"
    return (
        f"waited {waits['median']:.2f} s for half of the answers" if waits["median"] > MEDIAN_WAIT else None
    )


def memory(process: int) -> int:
    """Return the resident memory of a process in bytes; 0 where the kernel does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
