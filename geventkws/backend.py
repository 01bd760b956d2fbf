"""Which implementation of the hot path runs: the compiled one, or the readable one where there is none.

``GEVENTKWS_PURE=1`` in the environment chooses the readable one.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["BACKEND", "Channel", "Conversation", "Endpoint", "Loop", "TLSRecords", "use_compiled"]

BACKEND: str
"""``"compiled"`` or ``"pure"``."""

if TYPE_CHECKING:
    from geventkws.loop.channel import Channel
    from geventkws.loop.loop import Loop
    from geventkws.net.tls_records import TLSRecords
    from geventkws.protocol.endpoint import Endpoint
    from geventkws.websocket.conversation import Conversation
else:
    try:
        if os.environ.get("GEVENTKWS_PURE") == "1":
            raise ImportError("GEVENTKWS_PURE=1")
        # By name: static checks know nothing of compiled modules.
        _twins = import_module("geventkws.loop._compiled")
        Channel, Conversation, Loop = _twins.Channel, _twins.Conversation, _twins.Loop
        Endpoint = import_module("geventkws.protocol._speedups").Endpoint
        TLSRecords = import_module("geventkws.net._tls_records").TLSRecords
        BACKEND = "compiled"
    except ImportError:
        from geventkws.loop.channel import Channel
        from geventkws.loop.loop import Loop
        from geventkws.net.tls_records import TLSRecords
        from geventkws.protocol.endpoint import Endpoint
        from geventkws.websocket.conversation import Conversation

        BACKEND = "pure"


def use_compiled(module: str, names: dict[str, Any]) -> None:
    """Replace ``names``, the globals of a module, by those of its compiled form, where that backend runs.

    This is the last line of each module that is compiled from its Python source. ``http/fields.py`` is
    compiled as ``http/_c_fields``, where the same line does nothing.
    """
    package, _, name = module.rpartition(".")
    if BACKEND == "compiled" and not name.startswith("_c_"):
        compiled = vars(import_module(f"{package}._c_{name}"))
        names.update({key: value for key, value in compiled.items() if not key.startswith("__")})
