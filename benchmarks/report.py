"""The results as Markdown tables, which are also readable in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.catalogue import BEFORE, title_of
from benchmarks.summary import Figure, Record, Row, change, summarize
from benchmarks.workloads import Workload

SHOWN_SPREAD = 0.05
LOAD_LIMIT = 0.9
NOW = "geventkws"
"""The peer that is compared with ``BEFORE``."""

_COLUMNS = {
    "load": (
        ("messages_per_second", "messages/s"),
        ("cpu_us_per_message", "CPU µs/message"),
        ("p50_us", "p50 µs"),
        ("p99_us", "p99 µs"),
    ),
    "http": (
        ("messages_per_second", "requests/s"),
        ("cpu_us_per_message", "CPU µs/request"),
        ("p50_us", "p50 µs"),
        ("p99_us", "p99 µs"),
    ),
    "idle": (("kib_per_connection", "KiB/connection"),),
    "http-idle": (("kib_per_connection", "KiB/connection"),),
    "subscriptions": (
        ("bytes_per_subscription", "B/subscription"),
        ("redis_bytes_per_subscription", "B in Redis"),
    ),
    "resubscribe": (("resubscribe_seconds", "s"), ("resubscribe_cpu_seconds", "CPU s")),
}
_BULK = (("mib_per_second", "MiB/s"),)
_DEFLATE = (("wire_bytes_per_message", "bytes/echo"),)


def number(value: float) -> str:
    """Return a number with three significant digits; from 100 on, without decimals."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(figure: Figure | None) -> str:
    """Return a figure, with its spread if that is large."""
    if figure is None:
        return "-"
    spread = f" ±{figure.spread:.0%}" if figure.spread > SHOWN_SPREAD else ""
    return number(figure.median) + spread


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [list(heading), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(_aligned(line, widths))} |" for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first = line[0].ljust(widths[0])
    return [first, *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))]


def workload_section(workload: Workload, records: Iterable[Record]) -> str:
    """Return the heading, the table and the notes of a workload."""
    columns = _COLUMNS[workload.kind] + (_BULK if workload.bulk else ())
    columns += _DEFLATE if workload.deflate else ()
    rows = summarize(records, workload.name)
    lines = [[_name(row), *(cell(row.figures.get(key)) for key, _ in columns)] for row in rows]
    parts = [
        f"### {workload.title} (`{workload.name}`)",
        table(["", *(title for _, title in columns)], lines),
    ]
    if any(_load_was_the_limit(row) for row in rows):
        parts.append("\\* The load generator was at its limit: this server can do more.")
    parts += [f"{title_of(row.peer)} failed: {error}" for row in rows for error in row.errors]
    return "\n\n".join(parts)


def _name(row: Row) -> str:
    title = title_of(row.peer)
    return f"{title} \\*" if _load_was_the_limit(row) else title


def _load_was_the_limit(row: Row) -> bool:
    load = row.figures.get("load_cpu")
    return load is not None and load.median > LOAD_LIMIT


def comparison(workloads: Iterable[Workload], records: Sequence[Record]) -> str:
    """Return the heading and the table of what changed since ``BEFORE``."""
    lines = []
    for workload in workloads:
        rows = {row.peer: row.figures for row in summarize(records, workload.name)}
        for key, heading in _COLUMNS[workload.kind][:2]:
            by = change(records, workload.name, key, BEFORE.name, NOW)
            if by is not None:
                medians = (number(rows[peer][key].median) for peer in (BEFORE.name, NOW))
                lines.append([f"{workload.name}, {heading}", *medians, changed_by(by)])
    return "\n\n".join(
        [
            "### What changed",
            table(["", "before", "now", "change"], lines),
            "The change is the median of the repetitions; each measures one directly after the other.",
        ]
    )


def changed_by(factor: Figure) -> str:
    """Return a factor as a change in per cent, with its spread in percentage points if there is one."""
    spread = f" ±{factor.median * factor.spread * 100:.1f}" if factor.spread else ""
    return f"{(factor.median - 1) * 100:+.1f}%{spread}"


def report(
    workloads: Sequence[Workload],
    records: Sequence[Record],
    facts: Mapping[str, str],
    settings: Mapping[str, str],
) -> str:
    """Return the whole report: the machine, the settings, then a section for each measured workload."""
    measured = {record.workload for record in records}
    parts = ["## Results", table(["machine", "what"], facts.items())]
    parts += [f"### What each server was started with\n\n{_list(settings)}"] if settings else []
    parts += [workload_section(workload, records) for workload in workloads if workload.name in measured]
    if any(record.peer == BEFORE.name for record in records):
        parts.append(comparison(workloads, records))
    return "\n\n".join(parts) + "\n"


def _list(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- `{name}`: {text or 'its defaults'}" for name, text in entries.items())
