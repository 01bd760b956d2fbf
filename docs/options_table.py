"""Makes the tables and the reference of the server's options from their fields.

``python docs/options_table.py`` writes them into ``README.md``, ``docs/topics/limits.md`` and
``docs/reference/index.md`` of the repository, or beneath a directory given as an argument.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from geventkws.options import ABOUT, ServerOptions, shown

BEGIN, END = "<!-- The table: python docs/options_table.py -->\n", "<!-- The end of the table -->\n"

NONE = "`None`"


def limits() -> str:
    """Return the options that are limits, as a Markdown table."""
    lines = ["| option | default | what is limited | beyond it |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {shown(default, known.unit, NONE)} | {known.limits} | {known.beyond} |"
        for name, default in DEFAULTS.items()
        if (known := ABOUT[name]).beyond is not None
    ]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return all options as entries of the reference, for Sphinx."""
    lines = ["```{eval-rst}", ".. autoclass:: geventkws.options.ServerOptions", ""]
    for each in fields(ServerOptions):
        known = ABOUT[each.name]
        beyond = "" if known.beyond is None else f" Beyond it: {known.beyond}."
        text = f"{known.limits[0].upper()}{known.limits[1:]}.{beyond}".replace("`", "``")
        lines += [f"   .. py:attribute:: {each.name}", f"      :type: {each.type}"]
        lines += [f"      :value: {each.default!r}", "", f"      {text}", ""]
    return "\n".join(lines).rstrip() + "\n```\n"


DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(ServerOptions)}

PAGES = {
    Path("README.md"): limits,
    Path("docs", "topics", "limits.md"): limits,
    Path("docs", "reference", "index.md"): reference,
}


def page(text: str, table: str) -> str:
    """Return the text of a page with the table inserted."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(root: Path) -> None:
    """Write the tables into the pages beneath ``root``."""
    for path, table in PAGES.items():
        text = (root / path).read_text("utf-8")
        (root / path).write_text(page(text, table()), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent)
