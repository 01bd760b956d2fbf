"""What every Python program of the tests runs first, because this directory is on its path.

gevent asks for plugins at each of the 25 steps in which it patches the standard library. Each time,
``importlib.metadata`` reads the files of all installed distributions, of which the tests need 170. That takes
almost as long as all else that a server does until it listens; here it reads them once.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

_read_once = cache(metadata.entry_points)


def entry_points(**params: str) -> Any:
    """Return the entry points that have these attributes, as they were at the first call."""
    return _read_once().select(**params)


vars(metadata)["entry_points"] = entry_points
