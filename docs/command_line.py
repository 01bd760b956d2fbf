"""Makes the reference of the command line from its options: ``python docs/command_line.py``.

Writes ``docs/reference/command-line.md`` in the repository, or beneath a directory given as an argument.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geventkws.cli.help import PREFIX, Setting
from geventkws.cli.serve_settings import GROUPS, serve_settings

PAGE = Path("docs", "reference", "command-line.md")

HEAD = f"""\
# Command line

These are the options of `geventkws serve [APP]`; [the guide](../how-to/command-line.md) has examples. Each
is also an environment variable, `{PREFIX}` with the option's name in capitals (`{PREFIX}MAX_REQUESTS`), and
a key in `geventkws.toml`. `{PREFIX}APP` and `app` name the application. An option that can be given several
times takes its values separated by spaces in the environment, and as a list in the file. A SIZE is a number
of bytes, or a size such as `64KiB` or `1MiB`.
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
