"""The chart: well-formed, to scale, for light and dark pages."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from benchmarks.chart import Bar, Panel, panels, svg
from benchmarks.summary import Record

SVG = "{http://www.w3.org/2000/svg}"


def widths(document: str) -> list[float]:
    return [float(bar.get("width", "")) for bar in ElementTree.fromstring(document).iter(f"{SVG}rect")]


def test_the_chart_is_well_formed_whatever_the_labels_are():
    document = svg([Panel("a < b & c", 'unit "µs"', [Bar("<peer>", 1.0)])])
    texts = [text.text for text in ElementTree.fromstring(document).iter(f"{SVG}text")]
    assert texts == ["a < b & c", 'unit "µs"', "<peer>", "1.00"]


def test_bars_are_to_the_scale_of_their_panel():
    half, whole, other = widths(
        svg([Panel("", "", [Bar("", 50.0), Bar("", 100.0)]), Panel("", "", [Bar("", 3.0)])])
    )
    assert half * 2 == whole == other


def test_everything_is_within_the_picture():
    root = ElementTree.fromstring(svg([Panel("t", "u", [Bar("b", 1.0)] * 9)] * 3))
    for element in [*root.iter(f"{SVG}text"), *root.iter(f"{SVG}rect")]:
        assert float(element.get("x", "")) < float(root.get("width", ""))
        assert float(element.get("y", "")) < float(root.get("height", ""))


def test_there_are_colours_for_dark_pages():
    style = ElementTree.fromstring(svg([])).find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in str(style.text)


def test_a_panel_lists_the_best_first_and_our_own_stand_out():
    records = [
        Record(peer, "echo-64", 0, {"messages_per_second": 1.0, "cpu_us_per_message": cpu})
        for peer, cpu in (("picows", 6.5), ("geventkws", 6.0), ("aiohttp", 12.0))
    ]
    (panel,) = panels(records)
    assert [(bar.label, bar.own) for bar in panel.bars] == [
        ("geventkws", True),
        ("picows, uvloop", False),
        ("aiohttp, uvloop", False),
    ]


def test_failed_peers_have_no_bar():
    assert panels([Record("aiohttp", "echo-64", 0, error="no")]) == []
