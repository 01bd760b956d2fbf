"""Python's clients, each in a process of its own, where the standard library is not patched."""

from __future__ import annotations

import sys

import pytest

from tests.certificates import Certificates
from tests.clients.checks import CHECKS, Find, Results, cases, once, run_checks, verify
from tests.clients.ground import SCHEMES, Scheme, ground

EMPTY_CLOSE = "a_close_without_a_code_is_1005_for_the_server"  # none of them can send one
CANNOT = {
    "aiohttp": (EMPTY_CLOSE,),
    "websocket-client": (EMPTY_CLOSE, "compression"),
    "websockets-asyncio": (EMPTY_CLOSE,),
    "websockets-sync": (EMPTY_CLOSE,),
    "wsproto": (EMPTY_CLOSE,),
}
PINGS = "its_own_pings_are_answered"
PINGING = ("websockets-asyncio", "websockets-sync")


@pytest.fixture(scope="session")
def find(certificates: Certificates, cafile: str) -> Find:
    """A function that runs the checks on a client."""

    @once
    def find(client: str, scheme: Scheme) -> Results:
        names = [check for check in CHECKS if check not in CANNOT[client]]
        names += [PINGS] if client in PINGING else []
        module = "tests.clients.python_checks"
        with ground(scheme, certificates, cafile) as here:
            return run_checks(sys.executable, "-m", module, client, here.url, *names, env=here.environment)

    return find


@pytest.mark.parametrize(
    ("client", "scheme", "check"),
    [*cases(CANNOT), *((client, scheme, PINGS) for client in PINGING for scheme in SCHEMES)],
)
def test_a_client_in_python_passes_the_check(find: Find, client: str, scheme: Scheme, check: str) -> None:
    verify(find(client, scheme), check)
