"""A bar chart as SVG, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.catalogue import title_of
from benchmarks.report import number
from benchmarks.summary import Record, summarize

WIDTH = 860
COLUMNS = 2
MARGIN = 16
LABELS = 172
FIGURES = 58
BAR = 15
STEP = 21
HEAD = 44

# These colours are readable on light and dark backgrounds, on which a README is read; the media query refines
# them.
_STYLE = """\
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.unit { fill: #57606a }
.bar { fill: #8c959f }
.own { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .unit { fill: #9198a1 }
  .bar { fill: #6e7681 }
  .own { fill: #3fb950 }
}"""


@dataclass(frozen=True)
class Bar:
    """A bar; with ``own``, it stands out."""

    label: str
    value: float
    own: bool = False


@dataclass(frozen=True)
class Panel:
    """A small chart with its own scale."""

    title: str
    unit: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """Pixels from the top of this panel to the next."""
        return HEAD + STEP * len(self.bars) + MARGIN


_PANELS = (
    ("echo-64", "Echo of 64 B", "server CPU, µs a message: less is better", "cpu_us_per_message"),
    ("echo-64-deep", "Echo of 64 B, 16 in flight", "messages/s: more is better", "messages_per_second"),
    (
        "fanout-4",
        "Fan-out to 1,000 receivers, 4 in flight",
        "deliveries/s: more is better",
        "messages_per_second",
    ),
    ("echo-tls", "Echo of 64 B over TLS", "messages/s: more is better", "messages_per_second"),
    (
        "echo-deflate-1k",
        "Echo of 1 KiB of JSON, compressed",
        "messages/s: more is better",
        "messages_per_second",
    ),
    ("idle", "Idle connection", "KiB each: less is better", "kib_per_connection"),
    ("handshakes", "Connect, upgrade, close", "connections/s: more is better", "messages_per_second"),
    ("http-hello", "HTTP, keep-alive", "requests/s: more is better", "messages_per_second"),
)


def panels(records: Sequence[Record]) -> list[Panel]:
    """Return the panels of the README's chart, for the workloads that were measured."""
    found = []
    for workload, title, unit, key in _PANELS:
        medians = [
            (row.peer, row.figures[key].median) for row in summarize(records, workload) if key in row.figures
        ]
        medians.sort(key=lambda bar: bar[1], reverse="more" in unit)
        bars = [Bar(title_of(peer), value, peer.startswith("geventkws")) for peer, value in medians]
        if bars:
            found.append(Panel(title, unit, bars))
    return found


def svg(panels: Sequence[Panel]) -> str:
    """Return the panels side by side, in rows, as an SVG document."""
    rows = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    parts: list[str] = []
    top = MARGIN
    for row in rows:
        for column, panel in enumerate(row):
            parts += _panel(panel, MARGIN + column * WIDTH // COLUMNS, top)
        top += max(panel.height for panel in row)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}" '
        'role="img">'
    )
    summary = "; ".join(panel.title for panel in panels)
    return "\n".join(
        [head, f"<title>{escape(summary)}</title>", f"<style>{_STYLE}</style>", *parts, "</svg>", ""]
    )


def _panel(panel: Panel, left: int, top: int) -> Iterable[str]:
    room = WIDTH // COLUMNS - 2 * MARGIN - LABELS - FIGURES
    greatest = max((bar.value for bar in panel.bars), default=0) or 1
    yield f'<text class="title" x="{left}" y="{top + 14}">{escape(panel.title)}</text>'
    yield f'<text class="unit" x="{left}" y="{top + 31}">{escape(panel.unit)}</text>'
    for index, bar in enumerate(panel.bars):
        y = top + HEAD + STEP * index
        width = max(1.0, room * bar.value / greatest)
        kind = "own" if bar.own else "bar"
        yield f'<text x="{left}" y="{y + 12}">{escape(bar.label)}</text>'
        yield f'<rect class="{kind}" x="{left + LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text x="{left + LABELS + width + 6:.1f}" y="{y + 12}">{number(bar.value)}</text>'
