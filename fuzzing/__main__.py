"""``python -m fuzzing``: fuzzes the parsers, one after the other, with atheris."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click

from fuzzing import corpus, targets

NAMES = sorted(module.name for module in iter_modules(targets.__path__))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--seconds", default=60, show_default=True, help="How long to fuzz each.")
@click.option("--runs", default=-1, help="How many inputs to try for each, at most.")
@click.option("--found", default="build/fuzz", show_default=True, help="Where to put inputs that are new.")
@click.option("--keep", is_flag=True, help="Keep what is there in the corpus, and do not fuzz.")
def main(names: tuple[str, ...], seconds: int, runs: int, found: str, keep: bool) -> None:
    """Fuzz NAMES, or all: feed them inputs that reach new code, until one fails.

    Starts from the seeds and the corpus of each, and puts what it finds in the directory FOUND. An input that
    fails is there, too: mend the fault, and keep the input in the corpus, where the tests try it for ever.
    The readable modules are fuzzed, of which the fuzzer sees every branch; `make fuzz-compiled` fuzzes the
    compiled ones.
    """
    if keep:
        for name in names or NAMES:
            corpus.keep(name, Path(found) / name)
        return
    failed = [name for name in names or NAMES if not fuzz(name, seconds, runs, Path(found) / name)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def fuzz(name: str, seconds: int, runs: int, found: Path) -> bool:
    """Fuzz one target in a process of its own; return whether nothing was wrong."""
    found.mkdir(parents=True, exist_ok=True)
    for number, known in enumerate(corpus.inputs(name)):
        (found / f"known-{number}").write_bytes(known)
    options = [f"-max_total_time={seconds}", f"-runs={runs}", f"-artifact_prefix={found}/", "-timeout=20"]
    print(f"{name}: {seconds} s", flush=True)
    program = [sys.executable, "-m", "fuzzing.__main__", f"--one={name}", *options, str(found)]
    return subprocess.run(program, check=False).returncode == 0


def run(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    os.environ.setdefault("GEVENTKWS_PURE", "1")
    with atheris.instrument_imports(include=["geventkws"]):
        target = import_module(f"fuzzing.targets.{name}")
    atheris.Setup([sys.argv[0], *arguments], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("--one="):
        run(sys.argv[1].removeprefix("--one="), sys.argv[2:])
    else:
        main(prog_name="python -m fuzzing")
