"""The pages about metrics name all metrics, and no others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import metrics_table
from geventkws.metrics.catalogue import FAMILIES, LABELS
from geventkws.protocol.refusals import Refusal
from tests.metrics.queries import check_query
from tests.programs import ROOT

GUIDE = (ROOT / "docs" / "how-to" / "metrics.md").read_text()


def test_the_reference_is_what_the_program_makes_of_the_catalogue(tmp_path: Path) -> None:
    made = tmp_path / metrics_table.PAGE
    made.parent.mkdir(parents=True)
    subprocess.run([sys.executable, metrics_table.__file__, tmp_path], check=True, timeout=100)
    committed = (ROOT / metrics_table.PAGE).read_text()
    assert committed == made.read_text(), "run: python docs/metrics_table.py"
    for family in FAMILIES:
        assert committed.count(f"| `{family.name}` |") == 1


def test_every_reason_is_explained() -> None:
    for reason in Refusal:
        assert f"`{reason}`:" in LABELS["reason"]


@pytest.mark.parametrize("query", re.findall(r"^\| `(.*)` \|", GUIDE, re.MULTILINE))
def test_the_alerts_use_existing_metrics(query: str) -> None:
    check_query(query.replace(r"\|", "|"))
