"""The part of the build that cannot be said in ``pyproject.toml``: compiled extension modules."""

from __future__ import annotations

from setuptools import setup

setup()
