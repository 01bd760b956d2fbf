"""What the figures depend on: the machine, its load, and the versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.catalogue import Peer
from benchmarks.toolchain import ROOT

_VERSIONS = """\
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
def find(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
found = {name: find(name) for name in sys.argv[1:]}
if "geventkws" in found:
    import geventkws
    found["geventkws"] = geventkws.__version__ + " (" + getattr(geventkws, "BACKEND", "python") + ")"
print(json.dumps([platform.python_version(), found]))
"""


def facts(peers: Iterable[Peer], python: Path) -> dict[str, str]:
    """Return facts and their names, in the order to print them."""
    names = sorted({name for peer in peers for name in peer.distributions})
    done = subprocess.run(
        [python, "-c", _VERSIONS, *names], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    python_version, versions = json.loads(done.stdout)
    return {
        "CPU": f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": python_version,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def cpu_model() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
