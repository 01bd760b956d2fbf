"""The metrics of several processes: each writes its own into files, and whichever is asked reads all of them.

This is the multi-process mode of prometheus_client, which does not support collectors: what was counted is
added to instruments of its own, whose values are in files that are mapped into memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, values
from prometheus_client import Histogram as HistogramInstrument
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from geventkws.loop.durations import BOUNDS
from geventkws.metrics.catalogue import FAMILIES, Family, Kind
from geventkws.metrics.counts import Histogram, Reading

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the directory of the files, and thereby chooses this mode."""


def is_chosen() -> bool:
    """Return whether there are several processes.

    Raises ``RuntimeError`` if prometheus_client was imported before the variable was set, and
    ``ValueError`` if the directory does not exist.
    """
    directory = os.environ.get(VARIABLE)
    if not directory:
        return False
    if not getattr(values.ValueClass, "_multiprocess", False):
        raise RuntimeError(f"{VARIABLE} must be set before prometheus_client is imported: set it outside")
    if not os.path.isdir(directory):
        raise ValueError(f"{VARIABLE} is {directory!r}, which is not a directory: make an empty one")
    return True


def all_processes() -> CollectorRegistry:
    """Return a registry with the values of all processes."""
    registry = CollectorRegistry()
    make_collector: Any = MultiProcessCollector  # it has no types
    make_collector(registry)
    return registry


def forget_process(pid: int) -> None:
    """Forget what a process had, which has ended: its open connections. What it has counted is kept."""
    mark: Any = mark_process_dead  # which has no types
    mark(pid)


_NONE = Histogram([0] * (len(BOUNDS) + 1), 0.0)


class Writer:
    """Writes readings into the files of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Put instruments into ``registry``, which raises ``ValueError`` for duplicates."""
        self._instruments = {family: _instrument(family, registry) for family in FAMILIES}
        self._series: dict[tuple[Family, tuple[str, ...]], Any] = {}
        self._written: dict[tuple[Family, tuple[str, ...]], float | Histogram] = {}

    def write(self, readings: Iterable[Reading]) -> None:
        """Write what has changed since the last time."""
        for family, labels, value in readings:
            key = family, labels
            before = self._written.get(key)
            if value != before:
                self._written[key] = value
                self._change(key, before, value)

    def forsake(self) -> None:
        """Start afresh: this is a child process, whose files are still empty."""
        self._written.clear()

    def _change(
        self, key: tuple[Family, tuple[str, ...]], before: float | Histogram | None, value: float | Histogram
    ) -> None:
        # Add, rather than set, what is counted: a process may have the id of a former one, and its files.
        family, labels = key
        series = self._series.get(key)
        if series is None:
            instrument = self._instruments[family]
            series = self._series[key] = instrument.labels(*labels) if labels else instrument
        if isinstance(value, Histogram):
            _add(series, value, before if isinstance(before, Histogram) else _NONE)
        elif family.kind is Kind.COUNTER:
            series.inc(value - (before if isinstance(before, (int, float)) else 0))
        else:
            series.set(value)


def _instrument(family: Family, registry: CollectorRegistry) -> Any:
    if family.kind is Kind.COUNTER:
        return Counter(family.name, family.meaning, family.labels, registry=registry)
    if family.kind is Kind.GAUGE:
        mode: Any = family.over_processes
        return Gauge(family.name, family.meaning, family.labels, registry=registry, multiprocess_mode=mode)
    return HistogramInstrument(family.name, family.meaning, family.labels, registry=registry, buckets=BOUNDS)


def _add(instrument: Any, now: Histogram, before: Histogram) -> None:
    """Add many durations at once, which no public method does."""
    for bucket, count, count_before in zip(instrument._buckets, now.counts, before.counts, strict=True):
        if count > count_before:
            bucket.inc(count - count_before)
    instrument._sum.inc(now.seconds - before.seconds)
