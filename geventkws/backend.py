"""Which form of the hot path runs: the compiled one, or the readable one if nothing was compiled.

``GEVENTKWS_PURE=1`` in the environment selects the readable one. The choice is made once, for all modules.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any

__all__ = ["BACKEND", "use_compiled"]


def _is_built() -> bool:
    """Return whether the package has compiled modules."""
    protocol = os.path.join(os.path.dirname(__file__), "protocol")
    return PathFinder.find_spec("_c_endpoint", [protocol]) is not None


BACKEND: str = "compiled" if os.environ.get("GEVENTKWS_PURE") != "1" and _is_built() else "pure"
"""``"compiled"`` or ``"pure"``."""


def use_compiled(module: str, names: dict[str, Any]) -> None:
    """Replace ``names``, the globals of a module, by those of its compiled form, if that backend runs.

    Called in the last line of each module that has a compiled form. The compiled form of ``loop/channel`` is
    ``loop/_c_channel``, where the same line does nothing. Raises ``ImportError`` if the compiled form cannot
    be imported.
    """
    package, _, name = module.rpartition(".")
    if BACKEND != "compiled" or name.startswith("_c_"):
        return
    try:
        compiled = vars(import_module(f"{package}._c_{name}"))
    except ImportError as error:
        raise ImportError(
            f"the compiled form of {module} cannot be imported ({error}): install geventkws again, "
            "or set GEVENTKWS_PURE=1 in the environment to run without compiled modules",
            name=error.name,
            path=error.path,
        ) from error
    names.update({key: value for key, value in compiled.items() if not key.startswith("__")})
