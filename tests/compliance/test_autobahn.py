"""The fast part of the Autobahn test suite against the echo example; `make autobahn` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compliance.autobahn import ENVIRONMENT, main
from tests.compliance.wstest import AutobahnError, Suite
from tests.helpers import free_port

FAST = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "10.*", "12.1.1", "13.3.1")


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip the tests if wstest is not installed."""
    try:
        Suite(ENVIRONMENT)
    except AutobahnError as error:
        pytest.skip(str(error))


def test_the_echo_example_passes_the_fast_cases(tmp_path: Path) -> None:
    status = main(["--report", str(tmp_path), "--modes", "pure-wss", "--cases", *FAST])
    assert status == 0  # the failures are in the captured output
    assert (tmp_path / "pure-wss" / "index.html").exists()


def test_each_mode_has_its_verdict_and_one_may_run_fewer_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--modes",
        "pure-ws",
        "pure-wss",
        "--sample",
        "pure-wss",
        "--cases",
        "1.1.1",
        "12.1.1",
        "13.6.1",
    ]
    assert main(["--report", str(tmp_path), *options]) == 0
    counts = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("All")]
    assert counts == [["All", "3", "3", "0", "0"], ["All", "2", "2", "0", "0"]]


def test_cases_that_could_not_run_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = f"ws://127.0.0.1:{free_port()}/"
    assert main(["--report", str(tmp_path), "--server-url", nowhere, "--cases", "1.1.1"]) == 1
    assert "1.1.1: NOT RUN\n    Send text message with payload 0." in capsys.readouterr().out


def test_cases_that_take_too_long_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--modes", "pure-ws", "--timeout", "0.1", "--cases", "1.1.1"]
    assert main(["--report", str(tmp_path), *options]) == 1
    assert "1.1.1: NOT RUN" in capsys.readouterr().out


def test_a_pattern_without_cases_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--report", str(tmp_path), "--cases", "1.1.1", "77.*"]) == 1
    assert capsys.readouterr().err == "autobahn: The suite has no case 77.*\n"
