"""The verdict is strict: what the suite itself would let pass fails here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compliance.evaluation import Case, Outcome, evaluate, failures, summary

CASE = Case("6.4.1", "UTF-8 Handling", "Send invalid UTF-8 in 3 fragments.")
ANYTHING = Case("7.13.1", "Close Handling", "Send close with close code 5000")


def result(case: Case, behavior: str, close_behavior: str) -> dict[str, Any]:
    """An entry in index.json, as the suite writes it."""
    return {
        "behavior": behavior,
        "behaviorClose": close_behavior,
        "duration": 1,
        "remoteCloseCode": 1007,
        "reportfile": f"geventkws_case_{case.id.replace('.', '_')}.json",
    }


def outcome(case: Case, behavior: str, close_behavior: str) -> Outcome:
    (only,) = evaluate([case], {case.id: result(case, behavior, close_behavior)})
    return only


def test_ok_in_messages_and_close_passes() -> None:
    assert outcome(CASE, "OK", "OK").passed


STRICT = [
    "NON-STRICT",
    "INFORMATIONAL",
    "UNIMPLEMENTED",
    "FAILED",
    "WRONG CODE",
    "UNCLEAN",
    "FAILED BY CLIENT",
]


@pytest.mark.parametrize("behavior", STRICT)
def test_anything_else_fails_in_messages_and_in_close(behavior: str) -> None:
    assert not outcome(CASE, behavior, "OK").passed
    assert not outcome(CASE, "OK", behavior).passed


def test_informational_passes_where_the_suite_expects_nothing() -> None:
    assert outcome(ANYTHING, "INFORMATIONAL", "INFORMATIONAL").passed


@pytest.mark.parametrize("behavior", ["NON-STRICT", "FAILED", "UNIMPLEMENTED"])
def test_only_informational_is_excused_where_the_suite_expects_nothing(behavior: str) -> None:
    assert not outcome(ANYTHING, behavior, "INFORMATIONAL").passed
    assert not outcome(ANYTHING, "INFORMATIONAL", behavior).passed


def test_a_case_without_a_result_fails() -> None:
    (missing,) = evaluate([CASE], {})
    assert not missing.passed
    assert failures([missing]) == "6.4.1: NOT RUN\n    Send invalid UTF-8 in 3 fragments."


def test_outcomes_come_in_the_order_of_their_numbers() -> None:
    cases = [Case(number, "", "") for number in ("10.1.1", "1.10.1", "1.2.1")]
    assert [each.case.id for each in evaluate(cases, {})] == ["1.2.1", "1.10.1", "10.1.1"]


def test_the_summary_counts_by_group() -> None:
    outcomes = [
        outcome(CASE, "OK", "OK"),
        outcome(CASE, "NON-STRICT", "OK"),
        outcome(ANYTHING, "INFORMATIONAL", "INFORMATIONAL"),
    ]
    assert [line.split() for line in summary(outcomes).splitlines()] == [
        ["Group", "Cases", "OK", "Informational", "Failed"],
        ["6", "UTF-8", "Handling", "2", "1", "0", "1"],
        ["7", "Close", "Handling", "1", "0", "1", "0"],
        ["All", "3", "1", "1", "1"],
    ]


def test_a_failure_names_both_verdicts_the_report_and_what_the_case_does() -> None:
    assert failures([outcome(CASE, "OK", "OK"), outcome(CASE, "NON-STRICT", "UNCLEAN")]) == (
        "6.4.1: NON-STRICT, close UNCLEAN (code 1007), see geventkws_case_6_4_1.html\n"
        "    Send invalid UTF-8 in 3 fragments."
    )
