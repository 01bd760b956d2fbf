"""``python -m tests.differential``: what proxies, other servers and we make of mutated requests."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from gevent.pool import Pool

import geventkws
from tests.differential.behind import AT_ONCE, Passage
from tests.differential.beside import verdict
from tests.differential.fronts import FRONTS, front
from tests.differential.judge import Verdict
from tests.differential.mutations import Mutant, mutants
from tests.differential.ours import ours
from tests.differential.peers import install, running
from tests.differential.subjects import SUBJECTS, Subject

COMPARED_AT_ONCE = 12
"""How many mutants are sent to all peers at the same time: some have few threads."""
SHOWN = 600
"""The most bytes of a mutant that are printed."""
OTHERS = sorted({*FRONTS, *(name for subject in SUBJECTS.values() for name in subject.peers)})


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--mutants", "count", default=2000, show_default=True, help="How many of each subject.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other mutants.")
@click.option("--first", default=0, show_default=True, help="The number of the first: to send one again.")
@click.option(
    "--subject", "subjects", multiple=True, type=click.Choice(list(SUBJECTS)), help="Only this one."
)
@click.option(
    "--other", "others", multiple=True, type=click.Choice(OTHERS), help="Only this proxy or server."
)
def main(count: int, seed: int, first: int, subjects: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Send mutated requests and handshakes through proxies, and to servers of other authors.

    What a proxy passes on as one request must be read here as one. What most servers refuse must be
    refused, and what they accept must be read alike, unless tests/differential/kept.py says why not. The
    servers are installed in an environment of their own, in build/. GEVENTKWS_PURE and GEVENT_LOOP in the
    environment choose our backend and event loop. Status 1 means that something was found.
    """
    logging.disable()
    numbers = range(first, first + count)
    click.echo(f"geventkws, {geventkws.BACKEND} backend, seed {seed}, {count} mutants of each subject")
    found = 0
    for name in subjects or SUBJECTS:
        for proxy in [each for each in FRONTS if each in (others or FRONTS)]:
            found += tell(f"{name} through {proxy}", through(proxy, SUBJECTS[name], seed, numbers), count)
        peers = [each for each in SUBJECTS[name].peers if each in (others or SUBJECTS[name].peers)]
        if peers:
            found += tell(
                f"{name} beside {', '.join(peers)}", beside(peers, SUBJECTS[name], seed, numbers), count
            )
    sys.exit(1 if found else 0)


def tell(title: str, progress: Iterator[tuple[int, list[str]]], count: int) -> int:
    """Print how far it is, and what is found; return how much that is."""
    found = 0
    for done, findings in progress:
        for finding in findings:
            click.echo(f"\r{finding}")
        found += len(findings)
        if sys.stdout.isatty():
            click.echo(f"\r\x1b[K{title}: {done} of {count}", nl=False)
    click.echo(f"\r{title}: {count} mutants, {found} findings")
    return found


def through(proxy: str, subject: Subject, seed: int, numbers: range) -> Iterator[tuple[int, list[str]]]:
    """Send mutants through a proxy; yield how many so far, and what was found in the last of them."""
    with (
        TemporaryDirectory() as directory,
        # Not spooled, a body that is never finished is seen as far as it came.
        ours(spool_chunked=False) as server,
        front(proxy, Path(directory) / proxy, server.port) as running_proxy,
    ):
        passage = Passage(running_proxy, server)
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            found = passage.findings(list(mutants(subject.through_proxies, seed, some)))
            yield start + len(some), [f"{finding.what}: {shown(finding.mutant)}" for finding in found]


def beside(names: list[str], subject: Subject, seed: int, numbers: range) -> Iterator[tuple[int, list[str]]]:
    """Send mutants to all servers; yield how many so far, and what was found in the last of them."""
    counted: Counter[str] = Counter()
    with (
        TemporaryDirectory() as directory,
        ours() as server,
        running(str(install()), subject.peers, names, Path(directory)) as ports,
    ):

        def judge(mutant: Mutant) -> tuple[Mutant, Verdict | None]:
            return mutant, verdict(server.port, ports, mutant.data, subject.compare)

        judged = Pool(COMPARED_AT_ONCE).imap(judge, mutants(subject.to_peers, seed, numbers))
        for done, (mutant, difference) in enumerate(judged, 1):
            reason = difference and (subject.kept(mutant.data, difference) or difference.accepted)
            yield done, [described(mutant, difference)] if difference and not reason else []
            if reason:
                counted[reason] += 1
    for reason, times in counted.most_common():
        click.echo(f"\r{times:6} times: {reason}")


def described(mutant: Mutant, difference: Verdict) -> str:
    """Return a difference in words."""
    steps = {"we": difference.ours, **difference.theirs}
    done = "\n".join(f"  {name}: {' '.join(step)}" for name, step in steps.items())
    return f"{difference.kind}: {shown(mutant)}\n  at request {difference.position}:\n{done}"


def shown(mutant: Mutant | None) -> str:
    """Return a mutant in print."""
    if mutant is None:
        return "it is not known with which mutant"
    return f"number {mutant.number} ({', '.join(mutant.changes)})\n  {mutant.data[:SHOWN]!r}"


if __name__ == "__main__":
    main(prog_name="python -m tests.differential")
