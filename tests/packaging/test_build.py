"""The package with and without a C compiler, built from a copy of the sources, and used from elsewhere."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT, copy_sources

TRANSLATION = "build/cython"

OURS = {"BUILD_EXTENSION", "PYTHONPATH"}
"""What the tests set, and whoever installs the package does not."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def translated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A copy of the sources, with the C code that Cython has made of them, and a build that failed at it.

    To translate it once is enough: what the C compiler does is what differs. So what the installation of this
    checkout has translated is not translated again, unless a source has changed since.
    """
    copy = tmp_path_factory.mktemp("translated")
    copy_sources(copy)
    if (ROOT / TRANSLATION).is_dir():
        shutil.copytree(ROOT / TRANSLATION, copy / TRANSLATION)
    return copy, install(copy, copy / "nothing", CC="false", CXX="false", BUILD_EXTENSION="yes")


@pytest.fixture
def sources(translated: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy of that copy, in which nothing has been built."""
    built = shutil.ignore_patterns("lib*", "temp*", "bdist*", "*.egg-info", "nothing")
    return Path(shutil.copytree(translated[0], tmp_path / "sources", ignore=built))


def install(sources: Path, target: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Install with the build requirements of this environment, which pip need not fetch for each build."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--no-build-isolation"]
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [*command, f"--target={target}", str(sources)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**inherited, **environ},
    )


def backend(target: Path, directory: Path, **environ: str) -> str:
    """Return which backend the installed package has, and check that it works."""
    program = (
        "import geventkws\n"
        "from geventkws.protocol.endpoint import Endpoint\n"
        "endpoint = Endpoint(100, 10)\n"
        "assert endpoint.receive(bytes.fromhex('818537fa213d7f9f4d5158')) == ['Hello']\n"
        "print(geventkws.__file__, geventkws.BACKEND)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(target), "GEVENTKWS_PURE": "", **environ},
    ).stdout
    path, name = answer.split()
    assert path.startswith(str(target))
    return name


def test_without_a_compiler_the_readable_package_is_installed(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    done = install(sources, target, CC="false", CXX="false")
    assert done.returncode == 0, done.stderr
    assert backend(target, tmp_path) == "pure"


def test_without_a_compiler_a_build_that_must_compile_fails(
    translated: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    sources, done = translated
    assert done.returncode != 0
    assert list(sources.glob(f"{TRANSLATION}/geventkws/*/*.c")), "Cython had done its part"
    assert "Failed building wheel" in done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_with_a_compiler_the_compiled_modules_are_installed(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    done = install(sources, target, BUILD_EXTENSION="yes", CFLAGS="-O0 -g0")  # the fastest to compile
    assert done.returncode == 0, done.stderr
    assert backend(target, tmp_path) == "compiled"
    assert backend(target, tmp_path, GEVENTKWS_PURE="1") == "pure"
    assert not list(target.glob("geventkws/**/*.c"))


def test_where_processes_are_not_forked_those_that_translate_import_what_builds() -> None:
    runpy.run_path(str(ROOT / "setup.py"), run_name="__mp_main__")


def test_pytest_finds_the_plugin_that_is_installed(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    done = install(sources, target, BUILD_EXTENSION="no")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
    ).stdout
    assert "websocket_server -- " in listed
    assert "websocket_connect -- " in listed
