"""curl, if the installed version knows ws:// (for an older one there are no tests, not even skipped ones)."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.certificates import Certificates
from tests.clients.ground import GREETING, SCHEMES, Scheme, ground
from tests.waiting import PATIENCE


def protocols() -> list[str]:
    """Return the protocols that the installed curl knows; none if there is no curl."""
    curl = shutil.which("curl")
    if curl is None:
        return []
    said = subprocess.run([curl, "--version"], capture_output=True, text=True, timeout=PATIENCE).stdout
    lines = [line.split() for line in said.splitlines() if line.startswith("Protocols:")]
    return lines[0][1:] if lines else []


KNOWN = [scheme for scheme in SCHEMES if scheme in protocols()]

if KNOWN:

    @pytest.mark.parametrize("scheme", KNOWN)
    def test_curl_shows_what_the_server_sends(
        scheme: Scheme, certificates: Certificates, cafile: str
    ) -> None:
        command = ["curl", "--silent", "--no-buffer", "--cacert", cafile, "--max-time", str(PATIENCE)]
        with ground(scheme, certificates, cafile) as here:
            program = subprocess.run(
                [*command, f"{here.url}/greeting"], capture_output=True, timeout=2 * PATIENCE
            )
        assert program.stdout.startswith(GREETING.encode()), program
