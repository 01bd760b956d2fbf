"""Colours, but only on a terminal and without ``NO_COLOR`` (no-color.org)."""

from __future__ import annotations

import os
from typing import Any, TextIO

import click


def are_wanted(stream: TextIO) -> bool:
    """Return whether output to ``stream`` may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Return ``text`` in the ``style`` of ``click.style``, if ``stream`` may be coloured."""
    return click.style(text, **style) if are_wanted(stream) else text
