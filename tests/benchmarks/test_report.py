"""The tables of the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.report import cell, changed_by, comparison, number, report, table, workload_section
from benchmarks.summary import Figure, Record
from benchmarks.workloads import WORKLOADS

ECHO = next(workload for workload in WORKLOADS if workload.name == "echo-64")
IDLE = next(workload for workload in WORKLOADS if workload.name == "idle")
DEFLATE = next(workload for workload in WORKLOADS if workload.name == "echo-deflate-1k")
FILE = next(workload for workload in WORKLOADS if workload.name == "http-file")


def echo_record(peer: str = "picows", load: float = 0.5, rate: float = 123456.7) -> Record:
    values = {"messages_per_second": rate, "cpu_us_per_message": 6.5, "p50_us": 812.0, "p99_us": 1900.0}
    return Record(peer, ECHO.name, 0, {**values, "load_cpu": load})


@pytest.mark.parametrize(
    ("value", "text"),
    [(123456.7, "123,457"), (100.4, "100"), (42.04, "42.0"), (6.512, "6.51"), (0.0, "0.00")],
)
def test_numbers_have_the_digits_that_mean_something(value, text):
    assert number(value) == text


def test_a_spread_is_shown_where_it_is_notable():
    assert cell(Figure(10.0, 0.04)) == "10.0"
    assert cell(Figure(10.0, 0.12)) == "10.0 ±12%"
    assert cell(None) == "-"


def test_a_table_is_aligned_markdown():
    assert table(["", "rate"], [["a", "1"], ["long name", "22,000"]]).splitlines() == [
        "|           |   rate |",
        "| --------- | -----: |",
        "| a         |      1 |",
        "| long name | 22,000 |",
    ]


def test_a_section_has_the_columns_of_its_workload():
    assert "| picows, uvloop |    123,457 |           6.50 |    812 |  1,900 |" in workload_section(
        ECHO, [echo_record()]
    )
    idle = workload_section(IDLE, [Record("picows", "idle", 0, {"kib_per_connection": 28.0})])
    assert "KiB/connection" in idle
    assert "p99" not in idle


def test_bytes_per_second_are_reported_only_for_bulk():
    section = workload_section(FILE, [Record("waitress", FILE.name, 0, {"mib_per_second": 1234.4})])
    assert "| p99 µs | MiB/s |" in section
    assert section.endswith("| 1,234 |")
    assert "MiB/s" not in workload_section(ECHO, [echo_record()])


def test_the_bytes_of_an_echo_are_reported_only_if_it_is_compressed():
    section = workload_section(
        DEFLATE, [Record("aiohttp", DEFLATE.name, 0, {"wire_bytes_per_message": 441.2})]
    )
    assert "| p99 µs | bytes/echo |" in section
    assert section.endswith(" 441 |")
    assert "bytes/echo" not in workload_section(ECHO, [echo_record()])


def test_a_row_that_the_load_generator_limited_is_marked():
    section = workload_section(ECHO, [echo_record(load=0.97), echo_record("aiohttp", load=0.6)])
    assert "| picows, uvloop \\* |" in section
    assert "| aiohttp, uvloop   |" in section
    assert "\\* The load generator was at its limit" in section


def test_a_failed_peer_has_a_row_without_figures_and_its_error_below():
    section = workload_section(ECHO, [Record("aiohttp", ECHO.name, 0, error="connection 3: wrong echo")])
    assert "| aiohttp, uvloop |          - |" in section
    assert "aiohttp, uvloop failed: connection 3: wrong echo" in section


def test_the_report_has_the_machine_and_the_measured_workloads_only():
    text = report(WORKLOADS, [echo_record()], {"kernel": "6.18"}, {})
    assert "| kernel  | 6.18 |" in text
    assert ECHO.title in text
    assert IDLE.title not in text
    assert "started with" not in text
    assert "What changed" not in text


def test_the_report_says_how_each_server_was_started():
    text = report(WORKLOADS, [echo_record()], {}, {"picows": "backlog=1024", "pywsgi --flask": ""})
    assert "- `picows`: backlog=1024\n- `pywsgi --flask`: its defaults\n" in text


@pytest.mark.parametrize(
    ("factor", "text"),
    [(Figure(0.9, 0.1), "-10.0% ±9.0"), (Figure(1.021, 0.0), "+2.1%"), (Figure(1.0, 0.0), "+0.0%")],
)
def test_a_change_is_reported_in_per_cent_and_its_spread_in_points(factor, text):
    assert changed_by(factor) == text


def test_two_checkouts_are_compared_in_the_workloads_that_both_have():
    records = [echo_record("geventkws", rate=110.0), echo_record("geventkws-before", rate=100.0)]
    records += [Record("geventkws", "idle", 0, {"kib_per_connection": 1.2})]
    records += [Record("geventkws-before", "idle", 0, {"kib_per_connection": 1.5})]
    records += [Record("geventkws", DEFLATE.name, 0, {"messages_per_second": 1.0})]
    records += [Record("geventkws-before", DEFLATE.name, 0, error="refused")]
    text = comparison(WORKLOADS, records)
    assert "| echo-64, messages/s     |    100 |  110 | +10.0% |" in text
    assert "| echo-64, CPU µs/message |   6.50 | 6.50 |  +0.0% |" in text
    assert "| idle, KiB/connection    |   1.50 | 1.20 | -20.0% |" in text
    assert DEFLATE.name not in text
    assert report(WORKLOADS, records, {}, {}).endswith(f"{text}\n")
