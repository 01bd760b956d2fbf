"""Commands of frameworks that have to begin anew with the standard library patched for gevent."""

from __future__ import annotations

import os
import sys

from gevent import monkey


def run_patched(module: str) -> None:
    """Replace this process by ``python -m module`` with the same arguments, patched before all else.

    Does nothing in a process that is patched already.
    """
    if not monkey.is_module_patched("socket"):
        sys.stdout.flush()
        sys.stderr.flush()
        arguments = [sys.executable, "-m", "gevent.monkey", "--module", module, *sys.argv[1:]]
        os.execv(sys.executable, arguments)
