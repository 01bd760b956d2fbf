"""The table of floods: a line for each, with the figures of the server, the attacker and the innocents."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.hostile.judge import GOAL
from tests.hostile.scene import Outcome, Plan, Waits

HEADING = (
    f"{'':7} {'flood':16} {'conn':>4} {'':5} | {'MB out':>7} {'MB in':>7} {'lost':>6} |"
    f" {'WebSocket':>17} | {'HTTP':>17} | {'stop':>5} {'MiB':>5} |\n"
    f"{'':7} {'':16} {'':4} {'':5} | {'':7} {'':7} {'':6} |"
    f" {'longest':>8} {'median':>8} | {'longest':>8} {'median':>8} | {'s':>5} {'peak':>5} |"
)


def served(outcome: Outcome) -> str:
    """Return a description of the server."""
    about = outcome.about
    return f"{about['package']}, {about['backend']}, {about['loop']}"


def line(progress: str, outcome: Outcome, found: Sequence[str]) -> str:
    """Return a line of the table; ``found`` is what is wrong."""
    waits = outcome.innocents
    stop = "never" if outcome.stop is None else f"{outcome.stop:.2f}"
    memory = "" if outcome.memory is None else f"{outcome.memory / 2**20:.0f}"
    return (
        f"{_flood(progress, outcome.plan)} |"
        f" {outcome.sent / 1e6:7.1f} {outcome.received / 1e6:7.1f} {sum(outcome.lost.values()):6} |"
        f" {_shown(waits['websocket'])} | {_shown(waits['http'])} | {stop:>5} {memory:>5} |"
        f" {_verdict(outcome, found)}"
    )


def failure(progress: str, plan: Plan, error: AssertionError) -> str:
    """Return the line of a flood that could not be carried out."""
    return f"{_flood(progress, plan)} | {error}"


def show(text: str) -> None:
    """Print ``text`` in place of the progress line."""
    print(_cleared(text), flush=True)


def show_passing(progress: str, plan: Plan, elapsed: float) -> None:
    """Show on a terminal what is going on, in a line that the next one overwrites."""
    if sys.stdout.isatty():
        passing = f"{_flood(progress, plan)} | {elapsed:.1f} of {plan.seconds:g} s"
        print(_cleared(passing), end="", flush=True)


def _cleared(text: str) -> str:
    return f"\r\x1b[K{text}" if sys.stdout.isatty() else text


def _flood(progress: str, plan: Plan) -> str:
    return f"{progress:>7} {plan.kind:16} {plan.connections:4} {'TLS' if plan.tls else 'plain':5}"


def _shown(waits: Waits) -> str:
    """Return the longest and the median wait in milliseconds."""
    return f"{waits.longest * 1000:8.1f} {waits.median * 1000:8.1f}"


def _verdict(outcome: Outcome, found: Sequence[str]) -> str:
    """Return what is wrong, in one line, or that all is well."""
    if found:
        return "; ".join(each.splitlines()[0] for each in found)
    return "slow" if any(each.longest > GOAL for each in outcome.innocents.values()) else "ok"
