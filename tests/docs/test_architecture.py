"""The page on the architecture names every module, that on the loop every compiled one, and no others."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import geventkws

PACKAGE = Path(geventkws.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "topics" / "architecture.md"
ENTRY = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>[\w./]+)")


def modules_named() -> set[str]:
    """Return the modules in the page's tree, as paths within the package."""
    named, folder = set(), ""
    for line in PAGE.read_text().splitlines():
        if match := ENTRY.match(line):
            folder = folder if match["indent"] else ""
            if match["name"].endswith("/"):
                folder = match["name"]
            else:
                named.add(folder + match["name"])
    return named


def modules_there() -> set[str]:
    paths = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return {path.relative_to(PACKAGE).as_posix() for path in paths}


def test_the_tree_is_that_of_the_package() -> None:
    assert modules_named() == modules_there()


def test_imports_point_down_the_tree() -> None:
    contracts = tomllib.loads((PAGE.parents[2] / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [layer.split(" | ") for layer in contracts["contracts"][0]["layers"]]
    height = {module: -depth for depth, layer in enumerate(layers) for module in layer}
    packages = re.findall(r"^[├└]── (\w+)/", PAGE.read_text(), re.MULTILINE)
    assert packages == sorted(packages, key=height.__getitem__, reverse=True)


def test_the_table_of_compiled_modules_is_complete() -> None:
    rows = re.findall(
        r"^\| (.+) \| (the same source|a twin)", (PAGE.parent / "loop.md").read_text(), re.MULTILINE
    )
    named: dict[str, set[str]] = {"the same source": set(), "a twin": set()}
    for modules, kind in rows:
        for group in re.sub(r"\(.*?\)", "", modules).split(";"):
            folder = match[1] if (match := re.search(r" in `(\w+)/`", group)) else ""
            names = re.findall(r"`(\w+(?:/\w+)?)`", group)
            named[kind] |= {name if "/" in name else f"{folder}/{name}" for name in names}
    twins = {f"{path.parent.name}/{path.stem.removeprefix('_c_')}" for path in PACKAGE.rglob("*.pyx")}
    compiled = {
        f"{path.parent.name}/{path.stem}"
        for path in PACKAGE.rglob("*.py")
        if path.read_text().endswith("\nuse_compiled(__name__, globals())\n")
    }
    assert named == {"the same source": compiled - twins, "a twin": twins}


def test_the_files_that_changes_lead_to_exist() -> None:
    root = PAGE.parents[2]
    for path in re.findall(
        r"`((?:tests|cli|protocol|http|server|websocket|loop|net)/[\w./]+)`", PAGE.read_text()
    ):
        assert (root / path).exists() or (PACKAGE / path).exists(), path


@pytest.mark.parametrize("page", sorted(PAGE.parent.glob("*.md")), ids=lambda page: page.name)
def test_the_modules_that_the_topics_name_exist(page: Path) -> None:
    for path in re.findall(
        r"`((?:cli|protocol|http|server|websocket|loop|net)/\w+\.(?:py|pyx|pxd))`", page.read_text()
    ):
        assert (PACKAGE / path).exists(), path
