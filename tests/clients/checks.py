"""The names of the checks: a script runs all of them at once, and each counts as a test."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import gevent

from tests.clients.ground import SCHEMES, Scheme
from tests.programs import ROOT

Results = dict[str, str]
"""What was wrong, by the name of the check; empty if nothing was."""

Find = Callable[[str, Scheme], Results]
"""Runs all checks on a client, given by name, and returns what they found."""

AT_MOST = 45.0
"""Seconds that a program may take for all checks."""

CHECKS = (
    "text",
    "emoji_and_the_planes_beyond_the_first",
    "binary",
    "empty_messages",
    "a_mebibyte_of_text_both_ways",
    "a_mebibyte_of_bytes_both_ways",
    "a_message_too_large_closes_with_1009",
    "a_thousand_messages_in_order",
    "a_thousand_messages_of_the_server_in_order",
    "the_subprotocol_that_both_speak",
    "no_subprotocol_unless_asked_for",
    "compression",
    "no_compression_unless_the_service_wants_it",
    "its_close_code_and_reason_reach_the_server",
    "a_close_without_a_code_is_1005_for_the_server",
    "the_servers_close_code_and_reason_reach_it",
    "the_servers_normal_close_reaches_it",
    "a_drop_tells_its_code_and_reason",
    "a_lost_server_is_seen_as_1006",
    "a_refused_upgrade_fails",
    "its_pongs_keep_an_idle_connection",
)
"""What every client does."""

BROWSER_CHECKS = (
    *CHECKS,
    "binary_as_blobs",
    "a_page_of_another_origin_is_refused",
    "a_second_tab",
    "centrifuge_in_json_misses_nothing",
    "centrifuge_in_protobuf_misses_nothing",
)
"""What every browser does."""


def cases(cannot: Mapping[str, Iterable[str]]) -> list[tuple[str, Scheme, str]]:
    """Return a test's parameters: client, scheme and check, without the checks that a client cannot do."""
    return [
        (client, scheme, check)
        for client, scheme, check in itertools.product(cannot, SCHEMES, CHECKS)
        if check not in cannot[client]
    ]


def once(function: Find) -> Find:
    """Return a form of ``function`` that runs once for each client, over ws and wss at the same time."""

    @cache
    def started(client: str) -> dict[Scheme, gevent.Greenlet[..., Results]]:
        return {scheme: gevent.spawn(function, client, scheme) for scheme in SCHEMES}

    return lambda client, scheme: started(client)[scheme].get()


def verify(results: Results, check: str) -> None:
    """Fail unless ``check`` was run and found nothing wrong."""
    assert check in results, f"it was not run; these were: {', '.join(results)}"
    assert not results[check], results[check]


def run_checks(*command: str, env: Mapping[str, str]) -> Results:
    """Run a program that runs the checks on its client, and return what it writes."""
    program = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=AT_MOST
    )
    assert program.returncode == 0, f"{program.stdout}{program.stderr}"
    results: Results = json.loads(program.stdout)
    return results
