"""Two checkouts of geventkws in one run, and what is reported about the servers."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.catalogue import PEERS, Peer, of_checkout
from benchmarks.machine import all_settings, check_checkout, facts, settings
from benchmarks.run import chosen_peers, order_of, parse_options
from benchmarks.server import Server
from benchmarks.toolchain import ROOT, MissingError
from benchmarks.workloads import WORKLOADS
from tests.waiting import PATIENCE

PYTHON = Path(sys.executable)
CORES = sorted(os.sched_getaffinity(0))
OURS = PEERS[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with a fake geventkws, which has only a version and a backend."""
    backend = re.search(r"\((.+?)\)", facts([OURS], [], PYTHON)["geventkws"])
    assert backend is not None
    (tmp_path / "geventkws").mkdir()
    (tmp_path / "geventkws" / "__init__.py").write_text(f"__version__, BACKEND = '0.0.9', '{backend[1]}'")
    return tmp_path


def test_the_other_checkout_is_measured_with_the_same_workloads_as_ours(tmp_path):
    peers = chosen_peers(parse_options(["--against", str(tmp_path)]))
    assert peers[:-1] == list(PEERS)
    assert peers[-1].environment == {"PYTHONPATH": str(tmp_path)}
    for workload in WORKLOADS:
        assert peers[-1].does(workload) == OURS.does(workload)


def test_the_two_checkouts_are_measured_one_after_the_other_each_first_in_turn(tmp_path):
    arguments = ["--against", str(tmp_path), "--peer", "picows", "--peer", "geventkws"]
    peers = chosen_peers(parse_options(arguments))
    orders = [[peer.name for peer in order_of(peers, repetition, 4)] for repetition in range(4)]
    assert orders == [
        ["geventkws", "geventkws-before", "picows"],
        ["geventkws-before", "geventkws", "picows"],
        ["picows", "geventkws", "geventkws-before"],
        ["picows", "geventkws-before", "geventkws"],
    ]


def test_without_another_checkout_there_is_no_such_peer():
    assert chosen_peers(parse_options([])) == list(PEERS)


def test_another_checkout_is_compared_with_ours_only(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--against", ".", "--peer", "picows"])
    assert "--against compares with the peer geventkws" in capsys.readouterr().err


def test_the_server_of_the_other_checkout_runs_its_code_in_our_program(tmp_path):
    shutil.copytree(ROOT / "geventkws", tmp_path / "geventkws")
    options = tmp_path / "geventkws" / "options.py"
    text = options.read_text()
    assert text.count('"geventkws"') == 1
    options.write_text(text.replace('"geventkws"', '"before"'))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("raise ImportError('the other benchmarks')")
    said = []
    for peer in (OURS, of_checkout(tmp_path)):
        with Server(peer, PYTHON, CORES) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            connection.request("GET", "/hello")
            said.append(connection.getresponse().headers["Server"])
            connection.close()
    assert said == ["geventkws", "before"]


def test_both_revisions_are_reported(checkout):
    told = facts([OURS], WORKLOADS, PYTHON, checkout)
    assert told["geventkws-before"].startswith("0.0.9 (")
    assert told["geventkws"] != told["geventkws-before"]
    assert "flask 3" in told["versions"]


def test_a_checkout_of_another_backend_is_not_compared(checkout):
    (checkout / "geventkws" / "__init__.py").write_text("__version__, BACKEND = '0.0.9', 'other'")
    with pytest.raises(MissingError, match=r"0\.0\.9 \(other\), which is not what .* has: run"):
        facts([OURS], [], PYTHON, checkout)


def test_a_checkout_whose_extensions_are_missing_or_old_is_not_compared(checkout):
    check_checkout(checkout)
    source = checkout / "geventkws" / "_fast.pyx"
    built = checkout / "geventkws" / "_fast.cpython-311.so"
    source.touch()
    with pytest.raises(MissingError, match=r"_fast\.pyx has changed since it was compiled"):
        check_checkout(checkout)
    built.touch()
    os.utime(source, (1, 1))
    check_checkout(checkout)
    os.utime(built, (0, 0))
    with pytest.raises(MissingError, match="BUILD_EXTENSION=yes"):
        check_checkout(checkout)


def test_a_directory_without_geventkws_is_not_compared(tmp_path):
    with pytest.raises(MissingError, match="is not a checkout of geventkws"):
        check_checkout(tmp_path)


def test_the_settings_of_a_server_are_those_it_is_started_with():
    assert "keepalive_timeout=75" in settings(OURS, [], PYTHON)
    assert "keepalive_timeout=600" in settings(OURS, ["--patient"], PYTHON)
    (gthread,) = (peer for peer in PEERS if peer.name == "gunicorn-gthread")
    told = settings(gthread, [], PYTHON)
    assert told.startswith("GUNICORN_CMD_ARGS=--worker-class=gthread --threads=1, --workers=1, ")


def test_the_settings_of_a_server_that_does_not_start_are_not_known():
    assert settings(Peer("broken", "", "no_such_module", ()), [], PYTHON).startswith("not known")


def test_the_settings_are_reported_once_if_the_flags_of_a_workload_make_no_difference():
    names = ("http-hello", "http-json", "http-flask", "idle-http", "idle-http-head")
    workloads = [workload for workload in WORKLOADS if workload.name in names]
    assert list(all_settings([OURS], workloads, PYTHON)) == ["geventkws", "geventkws --patient"]
