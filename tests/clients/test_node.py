"""npm's clients in Node, `ws` and `websocket`, with the checks that browsers run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Certificates
from tests.clients.checks import Find, Results, cases, once, run_checks, verify
from tests.clients.ground import Scheme, ground
from tests.helpers import require_program

HERE = Path(__file__).parent
CANNOT = {
    "websocket": ("compression", "a_close_without_a_code_is_1005_for_the_server"),
    "ws": (),
}


@pytest.fixture(scope="session")
def find(certificates: Certificates, cafile: str) -> Find:
    """A function that runs the checks on a client."""
    node = require_program("node")
    if not (HERE / "node_modules").is_dir():
        pytest.skip(f"there is no node_modules: run `npm install` in {HERE}")

    @once
    def find(client: str, scheme: Scheme) -> Results:
        with ground(scheme, certificates, cafile) as here:
            return run_checks(node, str(HERE / "node/run.js"), client, here.url, env=here.environment)

    return find


@pytest.mark.parametrize(("client", "scheme", "check"), cases(CANNOT))
def test_a_client_in_node_passes_the_check(find: Find, client: str, scheme: Scheme, check: str) -> None:
    verify(find(client, scheme), check)
