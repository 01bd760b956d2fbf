"""The verdict on a run of Autobahn's fuzzing client, stricter than the suite's: only OK passes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WITHOUT_EXPECTATION = frozenset({"7.1.6", "7.13.1", "7.13.2"})
"""The cases in which anything may happen: only for these, the suite says INFORMATIONAL, whatever it saw."""

NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Case:
    """A case of the suite; ``group`` is the suite's name for all cases with the same first number."""

    id: str
    group: str
    description: str

    @property
    def number(self) -> tuple[int, ...]:
        """Its place among the cases."""
        return tuple(int(part) for part in self.id.split("."))


@dataclass(frozen=True)
class Outcome:
    """What the suite says about one case: about the messages, and about how the connection ended."""

    case: Case
    behavior: str
    close_behavior: str = ""
    close_code: int | None = None
    report: str = ""

    @property
    def informational(self) -> bool:
        """Whether the suite only reports what happened."""
        return "INFORMATIONAL" in (self.behavior, self.close_behavior)

    @property
    def passed(self) -> bool:
        """Whether both are OK, or nothing was expected."""
        accepted = {"OK", "INFORMATIONAL"} if self.case.id in WITHOUT_EXPECTATION else {"OK"}
        return {self.behavior, self.close_behavior} <= accepted


def evaluate(cases: Iterable[Case], results: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
    """Return the outcome of each of ``cases``, in the order of their numbers.

    ``results`` is the content of the suite's ``index.json`` for the server. A case that is missing there
    failed.
    """
    return [_outcome(case, results.get(case.id)) for case in sorted(cases, key=lambda case: case.number)]


def _outcome(case: Case, result: Mapping[str, Any] | None) -> Outcome:
    if result is None:
        return Outcome(case, NOT_RUN)
    report = re.sub(r"\.json$", ".html", result["reportfile"])
    return Outcome(case, result["behavior"], result["behaviorClose"], result["remoteCloseCode"], report)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return a table that counts the outcomes by group."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(f"{outcome.case.number[0]:>2} {outcome.case.group}", []).append(outcome)
    width = max(map(len, groups), default=0)
    lines = [_row("Group", width, ["Cases", "OK", "Informational", "Failed"])]
    lines += [_row(name, width, _counts(members)) for name, members in groups.items()]
    lines.append(_row("All", width, _counts(outcomes)))
    return "\n".join(lines)


def _counts(outcomes: Sequence[Outcome]) -> list[int]:
    failed = sum(not outcome.passed for outcome in outcomes)
    informational = sum(outcome.passed and outcome.informational for outcome in outcomes)
    return [len(outcomes), len(outcomes) - failed - informational, informational, failed]


def _row(name: str, width: int, cells: Iterable[object]) -> str:
    return f"{name:<{width}}" + "".join(f"{cell!s:>15}" for cell in cells)


def failures(outcomes: Iterable[Outcome]) -> str:
    """Return a paragraph for each case that failed; nothing if none did."""
    return "\n".join(_failure(outcome) for outcome in outcomes if not outcome.passed)


def _failure(outcome: Outcome) -> str:
    verdict = f"{outcome.case.id}: {outcome.behavior}"
    if outcome.behavior != NOT_RUN:
        verdict += f", close {outcome.close_behavior} (code {outcome.close_code}), see {outcome.report}"
    return f"{verdict}\n    {outcome.case.description}"
