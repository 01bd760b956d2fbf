"""Checks what can be checked of a Prometheus query: the metrics and the labels that it names."""

from __future__ import annotations

import re

from geventkws.metrics.catalogue import FAMILIES, Kind

SUFFIXES = {Kind.COUNTER: ("",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}

LABELS_OF = {
    family.name + suffix: {*family.labels, *(("le",) if suffix == "_bucket" else ())}
    for family in FAMILIES
    for suffix in SUFFIXES[family.kind]
}
"""The labels of all time series."""

OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus itself adds."""

NAME = re.compile(r"\b(geventkws_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")


def check_query(query: str) -> None:
    """Fail if ``query`` names no metric, an unknown metric, or a label that its metrics do not have."""
    named = NAME.findall(query)
    assert named, f"no metric in {query}"
    known: set[str] = set()
    for name, matchers in named:
        assert name in LABELS_OF, f"there is no {name}"
        labels = LABELS_OF[name] | OF_PROMETHEUS
        known |= labels
        for label in MATCHER.findall(matchers):
            assert label in labels, f"{name} has no label {label!r}"
    for group in GROUPING.findall(query):
        for label in filter(None, re.split(r"\s*,\s*", group.strip())):
            assert label in known, f"nothing in {query} has a label {label!r}"
    if "histogram_quantile" in query:
        assert all(name.endswith("_bucket") for name, _ in named), query
        assert "le" in {label.strip() for group in GROUPING.findall(query) for label in group.split(",")}, (
            query
        )
