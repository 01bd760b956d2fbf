"""The command line of the benchmark, and the order of its runs."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.catalogue import PEERS
from benchmarks.run import estimated_time, outcome, parse_options, schedule
from benchmarks.summary import Record
from benchmarks.toolchain import HERE
from benchmarks.workloads import WORKLOADS


def test_every_peer_has_a_program_and_a_name_of_its_own():
    for peer in PEERS:
        assert importlib.util.find_spec(f"benchmarks.peers.{peer.module}") is not None
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_every_distribution_of_a_peer_is_installed_for_it():
    lines = (HERE / "requirements.txt").read_text().splitlines()
    installed = {line.partition("[")[0] for line in lines if not line.startswith("#")} | {"geventkws"}
    assert {name for peer in PEERS for name in peer.distributions} <= installed


def test_each_peer_is_measured_with_each_of_its_workloads_in_each_repetition():
    counts = Counter((workload.name, peer.name) for _, workload, peer in schedule(PEERS, WORKLOADS, 3))
    assert set(counts.values()) == {3}
    assert ("echo-64", "picows") in counts
    assert ("http-hello", "picows") not in counts
    assert ("echo-64", "waitress") not in counts


def test_another_peer_begins_with_each_repetition():
    peers = [peer for peer in PEERS if peer.websocket][:6]
    runs = schedule(peers, WORKLOADS[:1], 3)
    first = [next(peer.name for repetition, _, peer in runs if repetition == number) for number in range(3)]
    assert len(set(first)) == 3


@pytest.mark.parametrize("arguments", [["--repeat", "0"], ["--seconds", "0"], ["--peer", "nobody"]])
def test_an_option_that_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        parse_options(arguments)
    assert exit_info.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_quick_measures_everything_once_for_a_second_and_keeps_the_latest_results():
    options = parse_options(["--quick"])
    assert (options.seconds, options.repeat, options.peer, options.workload) == (1, 1, [], [])
    assert options.output.name == "quick"
    assert parse_options([]).output.name == "latest"


def test_options_given_beside_quick_take_precedence():
    options = parse_options(["--seconds", "2", "--quick", "--workload", "idle"])
    assert (options.seconds, options.repeat, options.workload) == (2, 1, ["idle"])


def test_a_python_is_found_from_any_directory_and_keeps_its_environment():
    options = parse_options(["--python", "some/bin/python", "--against", "."])
    assert options.python == Path("some/bin/python").absolute()
    assert options.against == Path.cwd()


def test_the_estimate_grows_with_the_runs_and_the_seconds_but_memory_takes_none():
    once, twice = (schedule(PEERS, WORKLOADS, repeat) for repeat in (1, 2))
    assert estimated_time(twice, 1) == pytest.approx(2 * estimated_time(once, 1))
    timed = sum(workload.kind in ("load", "http") for _, workload, _ in once)
    assert estimated_time(once, 3) - estimated_time(once, 1) == pytest.approx(2 * timed)


def test_progress_shows_a_rate_a_size_or_a_failure():
    rate = {"messages_per_second": 150000.0, "cpu_us_per_message": 6.5}
    assert outcome(Record("a", "echo-64", 0, rate)).split() == ["150,000/s", "6.50", "µs"]
    assert outcome(Record("a", "idle", 0, {"kib_per_connection": 1.25})).split() == ["1.25", "KiB"]
    again = Record("a", "channels-again", 0, {"resubscribe_seconds": 0.5})
    assert outcome(again).split() == ["0.50", "s"]
    memory = Record("a", "channels-memory", 0, {"bytes_per_subscription": 500.0})
    assert outcome(memory).split() == ["500", "B"]
    assert outcome(Record("a", "idle", 0, error="refused")) == "failed: refused"
