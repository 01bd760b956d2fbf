"""Makes the reference of the metrics out of their catalogue: ``python docs/metrics_table.py``.

Writes ``docs/reference/metrics.md``, beneath the directory above this program or one that is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geventkws.loop.durations import BOUNDS
from geventkws.metrics.catalogue import FAMILIES, LABELS, Family

PAGE = Path("docs", "reference", "metrics.md")

HEAD = """\
# Metrics

[Watch it with Prometheus](../how-to/metrics.md) shows how to use them.

```{eval-rst}
.. autoclass:: geventkws.metrics.Metrics
   :members: application
```

| metric | type | labels | |
|---|---|---|---|
"""

BUCKETS = f"""\

A histogram is three metrics: `_count` and `_sum`, how many and how long altogether, and `_bucket`, how many
took up to `le` seconds: {", ".join(f"{bound:g}" for bound in BOUNDS)}, `+Inf`.

Times are by the clock on the wall: a callback that waits for a database takes as long as the database. `run`,
of a service in the pull style, is not timed, since it takes as long as its connection.

A message counts as sent when the connection has taken it, its bytes when the socket has. An upgrade request
counts as an HTTP request where it is refused.

Of several processes, counters and histograms are added up, those of processes that have ended, too; gauges
are those of the processes that live, `geventkws_build_info` one for all that run the same.

## Labels

| label | |
|---|---|
"""


def page() -> str:
    """Return the page, in Markdown."""
    labels = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in LABELS.items())
    return HEAD + "".join(map(_row, FAMILIES)) + BUCKETS + labels


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.meaning} |\n"


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    (root / PAGE).write_text(page(), "utf-8")
