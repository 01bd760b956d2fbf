"""Prepares what is needed to measure a server: the peers, the load generator, a certificate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = HERE / ".venv"
BUILD = HERE / ".build"
OPTIONAL_PARTS = (["-DWITH_TLS", "-lssl", "-lcrypto"], ["-DWITH_DEFLATE", "-lz"])
"""The parts of the load generator that need a library's headers, with the compiler's arguments for each."""


class MissingError(Exception):
    """Something is missing on this machine; the text says what, and how to get it."""


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, in PEM files."""

    certfile: Path
    keyfile: Path


def install_peers() -> Path:
    """Return the Python of an environment with geventkws and the peers; make or update it if necessary.

    If the requirements cannot be installed together, each is tried on its own: peers that lack one are then
    reported when they fail to start.
    """
    python = VENV / "bin" / "python"
    stamp = VENV / "installed"
    requirements = HERE / "requirements.txt"
    compiled = [*ROOT.glob("geventkws/**/*.pyx"), *ROOT.glob("geventkws/**/*.pxd")]
    sources = [requirements, ROOT / "pyproject.toml", ROOT / "setup.py", *compiled]
    if stamp.exists() and all(stamp.stat().st_mtime > source.stat().st_mtime for source in sources):
        return python
    print(f"Installing the peers into {VENV} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", str(ROOT)], check=True)
    if subprocess.run([*pip, "--requirement", str(requirements)]).returncode != 0:
        for line in requirements.read_text().splitlines():
            if line and not line.startswith("#"):
                subprocess.run([*pip, line])
    stamp.touch()
    return python


def compile_load_generator(directory: Path = BUILD) -> Path:
    """Compile the load generator and return its path.

    It has no TLS if OpenSSL's headers are not installed, and no compression if zlib's are not, and says so
    when asked for it.
    """
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise MissingError(f"no C compiler ({compiler}): install gcc or clang, or set CC")
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "load"
    sources = sorted((HERE / "load").glob("*.c"))
    newest = max(source.stat().st_mtime for source in (HERE / "load").iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    command = [compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", str(program), *map(str, sources)]
    for count in range(len(OPTIONAL_PARTS), 0, -1):
        for parts in combinations(OPTIONAL_PARTS, count):
            with_parts = [*command, *chain.from_iterable(parts)]
            if subprocess.run(with_parts, capture_output=True).returncode == 0:
                return program
    subprocess.run(command, check=True)
    return program


def make_certificate(directory: Path = BUILD) -> Certificate:
    """Make a certificate with the ``openssl`` command."""
    if shutil.which("openssl") is None:
        raise MissingError("the openssl command, which makes the certificate, is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    certificate = Certificate(directory / "certificate.pem", directory / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    files = ["-keyout", str(certificate.keyfile), "-out", str(certificate.certfile)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return certificate


def find_wrk() -> str:
    """Return the path of wrk."""
    path = shutil.which("wrk")
    if path is None:
        raise MissingError("wrk is not installed (Debian: apt-get install wrk)")
    return path
