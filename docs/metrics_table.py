"""Makes the reference of the metrics from their catalogue: ``python docs/metrics_table.py``.

Writes ``docs/reference/metrics.md`` in this repository, or in a directory that is given.
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

A histogram is three metrics: `_count` (how many), `_sum` (how long, all together) and `_bucket` (how many
took up to `le` seconds: {", ".join(f"{bound:g}" for bound in BOUNDS)}, `+Inf`).

Times are wall-clock times: a callback that waits for a database takes as long as the database does. `run`, of
a service in the pull style, is not timed, since it takes as long as its connection lasts.

A message counts as sent when the connection has taken it, and its bytes when the socket has. An upgrade
request counts as an HTTP request only if it is refused.

With several processes, counters and histograms are sums that include processes that have ended. Gauges are
sums over the running processes, except that `geventkws_build_info` is 1 for all that run the same build.

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
