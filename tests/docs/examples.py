"""The Python programs and fragments in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(
    r"^(?:<!-- context: (?P<context>\w+) -->\n\n?)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PORT = re.compile(r'(\("[^"]*", )(?:443|8000|8080|8081)\)')


@dataclass(frozen=True)
class Example:
    """A block of Python on a page."""

    page: Path
    line: int
    """The number of its first line on the page, counted from 1."""
    code: str
    context: str
    """The code around it: the name of a class in ``tests.docs.contexts``, ``""`` for none."""

    @property
    def place(self) -> str:
        """The page and the line, as ``docs/tutorial.md:10``."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def run(self, names: dict[str, object]) -> None:
        """Run it with these names, to which it may add.

        A fixed port is replaced by a free one, and a system directory by one below the working directory.
        """
        code = "\n" * (self.line - 1) + _PORT.sub(r"\g<1>0)", self.code).replace("/etc/tls/", "tls/")
        exec(compile(code, self.page, "exec"), names)


def examples_of(page: Path) -> Iterator[Example]:
    """Yield the blocks of a page in order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Example(page, line, found["code"], found["context"] or "")


def example_at(place: str) -> Example:
    """Return the block at a place such as ``docs/tutorial.md:10``."""
    page, _, _ = place.partition(":")
    return next(example for example in examples_of(ROOT / page) if example.place == place)


def first_example_of(page: str) -> Example:
    """Return a page's first block, which later blocks continue."""
    return next(examples_of(ROOT / page))
