"""What the figures depend on: the machine, its load, the versions, and the settings of each server."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.catalogue import Peer
from benchmarks.redis_server import redis_version
from benchmarks.toolchain import ROOT, MissingError
from benchmarks.workloads import Workload

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
_HOW_TO_BUILD = "run `BUILD_EXTENSION=yes make .venv/dev.installed` there, with the same Python"
FLASK = frozenset({"flask", "werkzeug", "a2wsgi"})
"""The distributions whose versions are reported if Flask is measured."""


def facts(
    peers: Iterable[Peer], workloads: Iterable[Workload], python: Path, against: Path | None = None
) -> dict[str, str]:
    """Return facts by name, in the order to print them.

    Raises ``MissingError`` if the other checkout cannot be compared with.
    """
    workloads = list(workloads)
    names = {name for peer in peers for name in peer.distributions}
    if any(workload.flask for workload in workloads):
        names |= FLASK
    python_version, versions = _versions(python, ROOT, names)
    found = _machine(python_version, versions)
    if any(workload.workers for workload in workloads):
        found["Redis"] = redis_version()
    if "geventkws" in versions:
        found["geventkws"] = _revision(ROOT, versions["geventkws"])
    if against is not None:
        check_checkout(against)
        before = _versions(python, against, {"geventkws"})[1]["geventkws"]
        if _backend(before) != _backend(versions["geventkws"]):
            raise MissingError(
                f"{against} has geventkws {before}, which is not what {ROOT} has: {_HOW_TO_BUILD}"
            )
        found["geventkws-before"] = _revision(against, before)
    return found


def check_checkout(checkout: Path) -> None:
    """Raise ``MissingError`` unless there is a geventkws whose extensions are up to date."""
    if not (checkout / "geventkws" / "__init__.py").exists():
        raise MissingError(f"{checkout} is not a checkout of geventkws")
    for source in checkout.glob("geventkws/**/*.pyx"):
        built = [path.stat().st_mtime for path in source.parent.glob(f"{source.stem}.*.so")]
        if not built or max(built) < source.stat().st_mtime:
            raise MissingError(f"{source} has changed since it was compiled: {_HOW_TO_BUILD}")


def settings(peer: Peer, flags: Iterable[str], python: Path) -> str:
    """Return the settings of a server as text, with the environment variables first."""
    done = subprocess.run(
        [python, "-m", f"benchmarks.peers.{peer.module}", "--settings", *flags],
        cwd=ROOT,
        env={**os.environ, **peer.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if done.returncode != 0:
        return "not known: it does not start"
    found: Mapping[str, object] = {**peer.environment, **json.loads(done.stdout)}
    return ", ".join(f"{name}={value}" for name, value in found.items())


def all_settings(peers: Iterable[Peer], workloads: Iterable[Workload], python: Path) -> dict[str, str]:
    """Return the settings of each server, by its name and the flags that make a difference to it."""
    workloads = list(workloads)
    found: dict[str, str] = {}
    for peer in peers:
        for flags in sorted({workload.flags for workload in workloads if peer.does(workload)}):
            told = settings(peer, flags, python)
            if told != found.get(peer.name):
                found[" ".join([peer.name, *flags])] = told
    return found


def _versions(python: Path, checkout: Path, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    done = subprocess.run(
        [python, "-c", _VERSIONS, *sorted(names)], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    python_version, versions = json.loads(done.stdout)
    return python_version, versions


def _backend(version: str) -> str:
    return version.partition(" ")[2]


def _revision(checkout: Path, version: str) -> str:
    """Return a version, with the commit if git knows it."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=, changed"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return version
    return f"{version}, commit {done.stdout.strip()}" if done.returncode == 0 else version


def _machine(python_version: str, versions: Mapping[str, str]) -> dict[str, str]:
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
