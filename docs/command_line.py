"""Makes the reference of the command line out of its options: ``python docs/command_line.py``.

Writes ``docs/reference/command-line.md``, beneath the directory above this program or one that is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geventkws.cli.help import PREFIX, Setting
from geventkws.cli.serve_settings import GROUPS, serve_settings

PAGE = Path("docs", "reference", "command-line.md")

HEAD = f"""\
# Command line

The options of `geventkws serve [APP]`; [the guide](../how-to/command-line.md) has examples. Each is also a
variable of the environment, `{PREFIX}` with its name in capitals (`{PREFIX}MAX_REQUESTS`), and a key of
`geventkws.toml`. `{PREFIX}APP` and `app` are for the application. Several values of one option are
separated by spaces in a variable, and a list in the file. A SIZE is a number of bytes, or as in `64KiB` and
`1MiB`.
"""


def page() -> str:
    """Return the page, in Markdown."""
    parts = [HEAD]
    for group in GROUPS:
        parts.append(f"## {group}\n\n| option | default | |\n|---|---|---|\n")
        parts[-1] += "".join(map(_row, (each for each in serve_settings() if each.group == group)))
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    names = ", ".join(f"`{name}`" for name in (*setting.opts, *setting.secondary_opts))
    value = "" if setting.is_flag else f" {setting.metavar}".replace("|", "\\|")
    text = (setting.help or "").replace("*", r"\*")
    return f"| {names}{value} | {setting.shown or ''} | {text} |\n"


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    (root / PAGE).write_text(page(), "utf-8")
