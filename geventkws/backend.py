"""Which implementation of the hot path runs: the compiled one, or the readable one where there is none.

``GEVENTKWS_PURE=1`` in the environment chooses the readable one.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["BACKEND", "Channel", "Conversation", "Endpoint", "HotLoop", "TLSRecords"]

BACKEND: str
"""``"compiled"`` or ``"pure"``."""

if TYPE_CHECKING:
    from geventkws.channel import Channel
    from geventkws.conversation import Conversation
    from geventkws.hotloop import HotLoop
    from geventkws.protocol.endpoint import Endpoint
    from geventkws.tlsrecords import TLSRecords
else:
    try:
        if os.environ.get("GEVENTKWS_PURE") == "1":
            raise ImportError("GEVENTKWS_PURE=1")
        # By name: static checks know nothing of compiled modules.
        _hotpath = import_module("geventkws._hotpath")
        Channel, Conversation, HotLoop = _hotpath.Channel, _hotpath.Conversation, _hotpath.HotLoop
        Endpoint = import_module("geventkws.protocol._speedups").Endpoint
        TLSRecords = import_module("geventkws._tlsrecords").TLSRecords
        BACKEND = "compiled"
    except ImportError:
        from geventkws.channel import Channel
        from geventkws.conversation import Conversation
        from geventkws.hotloop import HotLoop
        from geventkws.protocol.endpoint import Endpoint
        from geventkws.tlsrecords import TLSRecords

        BACKEND = "pure"
