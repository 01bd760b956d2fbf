"""Beside those of the other servers that the tests use anyway. ``python -m tests.differential`` asks more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent.pool import Pool

from tests.differential import sources
from tests.differential.beside import verdict
from tests.differential.mutations import HANDSHAKES, HTTP, Material, Mutant, mutants
from tests.differential.ours import ours
from tests.differential.peers import running
from tests.differential.subjects import SUBJECTS

AT_HAND = {"requests": ("gunicorn", "aiohttp"), "handshakes": ("websockets", "aiohttp")}
# Two servers are not most servers. So these sources hardly ever change, and with them their mutants.
MATERIAL = {
    "requests": Material(sources.OWN, HTTP, sources.BEHIND),
    "handshakes": Material(sources.HANDSHAKES, HANDSHAKES),
}
SEED, MANY = 1, 100

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", SUBJECTS)
def test_we_differ_from_most_only_on_purpose(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name]
    with ours() as server, running(sys.executable, subject.peers, AT_HAND[name], tmp_path) as ports:

        def unexplained(mutant: Mutant) -> Iterator[object]:
            found = verdict(server.port, ports, mutant.data, subject.compare)
            if found and not found.accepted and not subject.kept(mutant.data, found):
                yield mutant, found

        pool = Pool(12)
        found = pool.imap_unordered(
            lambda mutant: list(unexplained(mutant)), mutants(MATERIAL[name], SEED, range(MANY))
        )
        assert [each for each in found if each] == []
