"""The corpora: inputs that reach what the seeds do not, or have failed, as lines of hexadecimal digits."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

DIRECTORY = Path(__file__).parent / "corpora"
LONGEST = 4096
"""How many bytes the longest input has that is kept."""


def inputs(name: str, directory: Path = DIRECTORY) -> list[bytes]:
    """Return the seeds of a target, and what has been kept for it."""
    path = directory / f"{name}.txt"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [*import_module(f"fuzzing.targets.{name}").SEEDS, *map(bytes.fromhex, lines)]


def keep(name: str, found: Path, directory: Path = DIRECTORY) -> None:
    """Add what is in the directory ``found``, from which the fuzzer removes what others replace."""
    seeds = import_module(f"fuzzing.targets.{name}").SEEDS
    kept = {*inputs(name, directory), *(path.read_bytes() for path in found.iterdir())}.difference(seeds)
    lines = [
        f"{data.hex()}\n"
        for data in sorted(kept, key=lambda data: (len(data), data))
        if 0 < len(data) <= LONGEST
    ]
    if lines:
        (directory / f"{name}.txt").write_text("".join(lines), "ascii")
