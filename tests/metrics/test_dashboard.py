"""The dashboard for Grafana asks for existing metrics, and for all of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from geventkws.metrics.catalogue import FAMILIES
from tests.metrics.queries import check_query
from tests.programs import EXAMPLES

DASHBOARD: dict[str, Any] = json.loads(
    (EXAMPLES / "deploy" / "grafana" / "geventkws.json").read_text("utf-8")
)

PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

VARIABLES: dict[str, dict[str, Any]] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

OF_GRAFANA = {"__rate_interval", "__all"}
"""Variables that Grafana itself sets."""

WIDTH = 24
"""Columns of a dashboard."""


def queries() -> Iterator[tuple[str, str]]:
    """Yield each query, after the title of its panel or the name of its variable."""
    for panel in PANELS:
        for target in panel.get("targets", []):
            yield f"{panel['title']}-{target['refId']}", target["expr"]
    for name, variable in VARIABLES.items():
        if variable["type"] == "query":
            yield name, variable["query"]["query"]


QUERIES = list(queries())


@pytest.mark.parametrize("query", [query for _, query in QUERIES], ids=[name for name, _ in QUERIES])
def test_a_query_uses_existing_metrics_and_labels(query: str) -> None:
    check_query(query)
    assert query.count("(") == query.count(")")
    for variable in re.findall(r"\$\{?(\w+)", query):
        assert variable in VARIABLES or variable in OF_GRAFANA


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("rate(geventkws_websocket_messages_total[5m])", "there is no geventkws_websocket_messages_total"),
        ('geventkws_http_connections{service="/"}', "geventkws_http_connections has no label 'service'"),
        ("sum by (code) (geventkws_websocket_connections)", "has a label 'code'"),
        ("geventkws_hub_delay_seconds", "there is no geventkws_hub_delay_seconds"),
        ("up == 0", "no metric in up == 0"),
        ("histogram_quantile(0.9, sum by (job) (rate(geventkws_hub_delay_seconds_bucket[5m])))", "le"),
    ],
)
def test_a_query_of_others_would_be_found(query: str, mistake: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(mistake)):
        check_query(query)


def test_every_metric_is_shown() -> None:
    shown = " ".join(query for _, query in QUERIES)
    for family in FAMILIES:
        assert re.search(rf"\b{family.name}(?:_bucket|_count|_sum)?\b", shown), family.name


def test_a_legend_names_labels_that_the_query_keeps() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"\bby \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


def test_each_panel_has_its_own_number_and_none_overlap() -> None:
    assert set(Counter(panel["id"] for panel in PANELS).values()) == {1}
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] + place["w"] <= WIDTH
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_whoever_imports_it_chooses_the_data_source() -> None:
    assert VARIABLES["datasource"]["query"] == "prometheus"
    for panel in PANELS:
        for asks in (panel, *panel.get("targets", [])):
            if asks.get("type") != "row":
                assert asks["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
