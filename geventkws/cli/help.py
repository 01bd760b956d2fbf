"""Options that know their group and default, and a help that shows these."""

from __future__ import annotations

from typing import Any

import click

PREFIX = "GEVENTKWS_"
"""What the names of environment variables begin with."""

WIDTH = 100
"""The width of the help in columns, the same in every terminal."""


class Setting(click.Option):
    """An option that can also be set in the environment and in a file."""

    def __init__(
        self, declarations: list[str], *, group: str, shown: str | None = None, **keywords: Any
    ) -> None:
        self.key = declarations[0].partition("/")[0].removeprefix("--").replace("-", "_")
        """Its name in a file."""
        self.group = group
        super().__init__(declarations, envvar=PREFIX + self.key.upper(), show_envvar=True, **keywords)
        self.shown = shown
        """Its default, as people would write it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None:
            return None
        # Environment variables are explained once, not with each option.
        default = f" [{self.shown}]" if self.shown else ""
        return record[0], f"{self.help}{default}"


class GroupedCommand(click.Command):
    """A command whose help shows the options by group, in the order of each group's first option."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", "Help"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=34)
