"""Floods a server, and shows how long two innocent clients beside the flood wait for their answers.

Each line of the table is a server of its own, which is flooded, measured, and told to end (SIGTERM) while the
flood goes on. Status 1 means that an innocent waited too long, or that a server did not end in time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.hostile import table
from tests.hostile.judge import GOAL, LONGEST_STOP, LONGEST_WAIT, MEDIAN_WAIT, QUEUED, complaints
from tests.hostile.kinds import KINDS, MIXED
from tests.hostile.scene import Plan, run, target

CONNECTIONS = (1, 8, 30, 200)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the floods that ``arguments`` (of the command line) ask for, and return the status."""
    options = parse(arguments)
    plans = list(planned(options))
    harmless = 0
    about = ""
    with TemporaryDirectory() as directory:
        server = target(Path(directory), options.python, environment(options))
        for number, plan in enumerate(plans, 1):
            progress = f"{number}/{len(plans)}"
            try:
                outcome = run(plan, server, partial(table.show_passing, progress, plan))
            except AssertionError as error:
                table.show(table.failure(progress, plan, error))
                continue
            if not about:
                about = table.served(outcome)
                table.show(f"{about}\n\n{table.HEADING}")
            found = complaints(outcome)
            harmless += not found
            table.show(table.line(progress, outcome, found))
    print(f"\n{harmless} of {len(plans)} floods did no harm")
    return 0 if harmless == len(plans) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    kinds = [f"  {kind.name:16} {kind.about}" for kind in KINDS.values()]
    kinds.append(f"  {MIXED:16} all of them at once, but for those with a rate")
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile.floods",
        description=__doc__,
        epilog="\n".join(("kinds:", *kinds, *BOUNDS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    names = [*KINDS, MIXED]
    add("--kind", nargs="+", metavar="KIND", choices=names, default=names, help="which floods (default: all)")
    add(
        "--connections",
        nargs="+",
        type=count,
        metavar="N",
        default=CONNECTIONS,
        help="how many connections each has (default: 1 8 30 200); 0 shows the waits without a flood",
    )
    add("--plain", action="store_true", help="without TLS only (default: without, and with)")
    add("--tls", action="store_true", help="with TLS only")
    add("--seconds", type=float, default=1.5, help="how long each lasts (default: %(default)s)")
    add("--pure", action="store_true", help="the readable backend, GEVENTKWS_PURE=1")
    add("--libuv", action="store_true", help="the event loop libuv, GEVENT_LOOP=libuv")
    add("--python", metavar="PATH", help="the server's Python, with the package that it has installed")
    add(
        "--checkout",
        metavar="DIRECTORY",
        help="where the server's package is taken from (default: here, or what --python has)",
    )
    return parser.parse_args(arguments)


BOUNDS = (
    "",
    f"Waits are in milliseconds. More than {LONGEST_WAIT * 1000:.0f} is too long, and so is a median above"
    f" {MEDIAN_WAIT * 1000:.0f}",
    f"({QUEUED * 1000:.0f} more for each connection of the flood), and an end {LONGEST_STOP:.0f} s after"
    f" SIGTERM. No innocent should wait",
    f"{GOAL * 1000:.0f} on a quiet machine: where one does, the line says slow. MB are the attacker's, out",
    "to the server and in from it; lost are the connections that the server ended and the attacker",
    "opened anew.",
)


def count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} connections are too few")
    return number


def planned(options: argparse.Namespace) -> Iterator[Plan]:
    """Yield what to do, in the order of the table."""
    layers = [tls for tls, chosen in ((False, options.plain), (True, options.tls)) if chosen] or [False, True]
    for tls, connections, kind in product(layers, options.connections, options.kind):
        yield Plan(kind, connections, tls, options.seconds)


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Return what the server's environment has in addition to ours."""
    chosen: dict[str, str] = {}
    if options.checkout:
        chosen["PYTHONPATH"] = str(Path(options.checkout).resolve())
    elif options.python or "PYTHONPATH" in os.environ:
        chosen["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    if options.pure:
        chosen["GEVENTKWS_PURE"] = "1"
    if options.libuv:
        chosen["GEVENT_LOOP"] = "libuv"
    return chosen


if __name__ == "__main__":
    sys.exit(main())
