"""The two subjects: requests, and handshakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.differential import sources
from tests.differential.beside import Compare
from tests.differential.judge import Verdict, compare_handshakes, compare_requests
from tests.differential.kept import kept_handshake, kept_request
from tests.differential.mutations import HANDSHAKES, HTTP, Material
from tests.differential.peers import HANDSHAKE_PEERS, HTTP_PEERS


class Subject(NamedTuple):
    """What mutants are made of, with whom we are compared, and how."""

    through_proxies: Material
    to_peers: Material
    peers: Mapping[str, str]
    compare: Compare
    kept: Callable[[bytes, Verdict], str | None]
    """Returns why we differ on purpose, if we do."""


REQUESTS = Material(sources.REQUESTS, HTTP, sources.BEHIND)

SUBJECTS = {
    "requests": Subject(REQUESTS, REQUESTS, HTTP_PEERS, compare_requests, kept_request),
    # Some peers refuse a handshake if anything comes behind it before they have answered.
    "handshakes": Subject(
        Material(sources.HANDSHAKES, HANDSHAKES, sources.BEHIND),
        Material(sources.HANDSHAKES, HANDSHAKES),
        HANDSHAKE_PEERS,
        compare_handshakes,
        kept_handshake,
    ),
}
