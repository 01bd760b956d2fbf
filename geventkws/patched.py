"""Restarts a framework's command with the standard library patched for gevent."""

from __future__ import annotations

import os
import sys

from gevent import monkey


def run_patched(*program: str) -> None:
    """Replace this process by ``program`` with the same arguments, patched before anything else runs.

    ``program`` is a script, or ``"--module"`` and the name of a module. Does nothing if the process is
    already patched.
    """
    if monkey.is_module_patched("socket"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    # A script can import the modules beside it, wherever it is called from.
    places = [sys.path[0], *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, "-m", "gevent.monkey", *program, *sys.argv[1:]]
    os.execve(sys.executable, command, environ)
