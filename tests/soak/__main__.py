"""``python -m tests.soak``: clients of all kinds at one server, with faults between and inside."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import randrange
from tempfile import TemporaryDirectory
from time import monotonic
from urllib.request import urlopen

import click
import gevent

from tests.certificates import HOST, Certificates
from tests.programs import ROOT
from tests.soak.channels import soak_channels
from tests.soak.crowd import Crowd
from tests.soak.health import LOOK, Figures, growth, remains, tracebacks
from tests.soak.part import part
from tests.soak.punctuality import Punctuality, Span, Starvation, duration, look_up_at_once
from tests.soak.renewal import Renewal
from tests.soak.tally import Tally, table
from tests.soak.workers import soak_workers
from tests.waiting import PATIENCE

WAYS = ("plain", "tls")
"""The server's ports."""
WARM_UP = 3
"""Looks that are not held against it."""
LOOPS = {"libev": "libev-cext", "libuv": "libuv-cffi"}
"""gevent's names of them."""
SHOWN = 20
"""Complaints that are printed."""


def look(port: int) -> Figures:
    """Ask the server for its figures."""
    with urlopen(f"http://{HOST}:{port}/figures", timeout=PATIENCE) as answer:
        found: Figures = json.load(answer)
        return found


def watch(port: int, crowd: Crowd, until: float, samples: list[Figures]) -> None:
    """Take samples until the end, and show how it goes: in one line on a terminal, otherwise in many."""
    while (left := until - monotonic()) > 0:
        gevent.sleep(min(LOOK, left))
        samples.append(figures := look(port))
        messages = sum(tally.messages for tally in crowd.tallies.values())
        line = (
            f"{max(left, 0):5.0f} s left, {messages} messages, {figures['present']} WebSockets,"
            f" {figures['memory'] / 2**20:.0f} MiB, {figures['descriptors']} descriptors,"
            f" {figures['greenlets']} greenlets, {sum(1 for _ in crowd.complaints())} complaints"
        )
        click.echo(f"\r\x1b[K{line}" if sys.stdout.isatty() else line, nl=not sys.stdout.isatty())


Besides = Callable[[float], str]
"""Something else that lasts until this time of ``monotonic``; what it returns is printed below the table."""
BESIDES = {"channels": soak_channels, "workers": soak_workers}
"""What makes them, by kind."""


def attend(
    crowd: Crowd, renewal: Renewal, besides: Sequence[Besides], port: int, until: float
) -> tuple[list[Figures], list[Span], str]:
    """Let the crowd live while certificates are renewed; return the figures, when we were late, lines."""
    samples: list[Figures] = []
    punctuality = Punctuality()
    watching = gevent.spawn(watch, port, crowd, until, samples)
    renewing = gevent.spawn(renewal.run, until)
    others = [gevent.spawn(each, until) for each in besides]
    try:
        crowd.run(until)
        watching.get()
        renewing.get()
        lines = "\n".join(each.get() for each in others)
    finally:
        gevent.killall(others)  # if one has failed, the programs of the others must end, too
    punctuality.stop()
    return samples, punctuality.late, lines


def quiet(port: int) -> Figures:
    """Return the figures once all WebSockets are gone, or after a while."""
    end = monotonic() + PATIENCE
    while look(port)["present"] and monotonic() < end:
        gevent.sleep(0.2)
    gevent.sleep(1)
    return look(port)


def soak(seconds: float, clients: int, seed: int, environment: dict[str, str], log: Path) -> list[str]:
    """Run the soak and print its table; return what is wrong."""
    with TemporaryDirectory() as directory, log.open("wb") as file:
        certificates = Certificates(Path(directory))
        files = certificates.certfile, certificates.keyfile
        with part("tests.soak.server", *files, environment=environment, log=file) as server:
            about = server.line()
            click.echo(f"seed {seed}, {clients} clients, {about}")
            before = look(about["plain"])
            with part("tests.soak.links", str(seed), *(str(about[way]) for way in WAYS)) as links:
                crowd = Crowd(clients, seed, about, links.line(), certificates.client())
                tally = crowd.tallies.setdefault("renewal", Tally())
                renewal = Renewal(certificates, server.process, about["tls"], tally)
                besides = []
                for kind, each in BESIDES.items():
                    kept = crowd.tallies.setdefault(kind, Tally())
                    besides.append(partial(kept.attempt, partial(each, seed, kept, environment, file)))
                starvation = Starvation(server.process.pid)
                samples, late, lines = attend(crowd, renewal, besides, about["plain"], monotonic() + seconds)
                starvation.stop()
                links.process.terminate()
                late += links.line()
            after = quiet(about["plain"])
    excuses = [*late, *starvation.late]
    found = [*crowd.complaints(excuses), *growth(samples[WARM_UP:]), *remains(before, after)]
    excused = sum(1 for _ in crowd.complaints()) - sum(1 for _ in crowd.complaints(excuses))
    click.echo(f"\n{table(crowd.tallies)}\n{lines}\nbefore: {before}\nafter:  {after}")
    click.echo(
        f"clients and links were late for {duration(late):.1f} s, and the server waited for a CPU for"
        f" {duration(starvation.late):.1f} s: {excused} excused"
    )
    return found + list(tracebacks(log.read_text()))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long.")
@click.option(
    "--clients", default=2000, show_default=True, help="How many clients at a time: one in eight is busy."
)
@click.option("--seed", type=int, help="Repeats the choices of another run, but not its timing.")
@click.option("--backend", type=click.Choice(["compiled", "readable"]), help="The server's backend.")
@click.option("--loop", type=click.Choice(list(LOOPS)), help="The server's event loop.")
@click.option("--log", type=Path, default=ROOT / "build/soak.log", help="Where the server logs.")
def main(
    minutes: float, clients: int, seed: int | None, backend: str | None, loop: str | None, log: Path
) -> None:
    """Let clients of all kinds use, break and misuse a server, and check that those who behave lose nothing.

    Half of their connections go over links that delay, cut, reset or silence them. Ends with a table, and
    with status 1 if anything was lost, doubled or out of order, if somebody waited too long, if a server
    has grown or logged an error that nobody provoked, or if disconnected was not called once for each
    connected.
    """
    environment = {"GEVENTKWS_PURE": "1" if backend == "readable" else "0"} if backend else {}
    if loop:
        environment["GEVENT_LOOP"] = LOOPS[loop]
    look_up_at_once()
    log.parent.mkdir(parents=True, exist_ok=True)
    found = soak(minutes * 60, clients, randrange(2**32) if seed is None else seed, environment, log)
    for complaint in found[:SHOWN]:
        click.echo(complaint)
    click.echo(f"{len(found)} faults; the server's log is {log}" if found else "nothing is wrong")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
