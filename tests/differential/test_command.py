"""The command: its options, what it prints, and its exit status."""

from __future__ import annotations

import sys

import pytest

from tests.differential.__main__ import described, tell
from tests.differential.judge import Verdict
from tests.differential.mutations import Mutant
from tests.programs import Program

pytestmark = pytest.mark.once


def test_the_options_choose_what_is_tried() -> None:
    options = "--mutants=5 --seed=2 --first=3 --subject=requests --other=haproxy"
    with Program(sys.executable, "-m", "tests.differential", *options.split(" ")) as command:
        assert command.wait() == 0, command.output
    lines = [line for line in command.output.splitlines() if "mutants" in line]
    assert "seed 2, 5 mutants" in lines[0]
    assert lines[1:] == ["requests through haproxy: 5 mutants, 0 findings"]


def test_a_finding_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = Mutant(7, b"GET / HTTP/1.1\r\n\r\n", ("delete_field",))
    verdict = Verdict("we accept what most refuse", 0, ("read", "GET", ""), {"other": ("refused", "400")})
    assert tell("a title", iter([(1, []), (2, [described(mutant, verdict)])]), 2) == 1
    output = capsys.readouterr().out
    for part in ("number 7 (delete_field)", repr(mutant.data), "we: read GET", "other: refused 400"):
        assert part in output
    assert output.endswith("a title: 2 mutants, 1 findings\n")
