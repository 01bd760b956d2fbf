"""Medians and spreads of repeated measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Record:
    """One measurement: its values, or the reason why there are none."""

    peer: str
    workload: str
    repetition: int
    values: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Figure:
    """The median of some values, and half the distance from the smallest to the largest, relative to it."""

    median: float
    spread: float


@dataclass(frozen=True)
class Row:
    """The result of all measurements of a peer with a workload."""

    peer: str
    figures: dict[str, Figure]
    errors: tuple[str, ...]


def figure(values: Sequence[float]) -> Figure:
    """Return the median and spread of at least one value."""
    middle = median(values)
    spread = (max(values) - min(values)) / 2
    return Figure(middle, spread / middle if middle else 0.0)


def summarize(records: Iterable[Record], workload: str) -> list[Row]:
    """Return a row for each peer measured with this workload: the best first, failed ones last."""
    by_peer: dict[str, list[Record]] = {}
    for record in records:
        if record.workload == workload:
            by_peer.setdefault(record.peer, []).append(record)
    return sorted((_row(peer, of_peer) for peer, of_peer in by_peer.items()), key=_rank)


def change(records: Iterable[Record], workload: str, key: str, of: str, to: str) -> Figure | None:
    """Return by which factor a value of a workload differs between two peers, from ``of`` to ``to``.

    It is the median over the repetitions; each compares two values measured one after the other, because what
    slows the machine down for a while is in both. None if there is no such pair.
    """
    values: dict[tuple[str, int], float] = {
        (record.peer, record.repetition): record.values[key]
        for record in records
        if record.workload == workload and key in record.values
    }
    factors = [
        value / values[of, repetition]
        for (peer, repetition), value in values.items()
        if peer == to and values.get((of, repetition))
    ]
    return figure(factors) if factors else None


def _row(peer: str, records: Sequence[Record]) -> Row:
    values: dict[str, list[float]] = {}
    for record in records:
        for key, value in record.values.items():
            values.setdefault(key, []).append(value)
    errors = dict.fromkeys(record.error for record in records if record.error is not None)
    return Row(peer, {key: figure(of_key) for key, of_key in values.items()}, tuple(errors))


def _rank(row: Row) -> float:
    if rate := row.figures.get("messages_per_second"):
        return -rate.median
    for key in ("kib_per_connection", "bytes_per_subscription", "resubscribe_seconds"):
        if key in row.figures:
            return row.figures[key].median
    return float("inf")
