"""For applications that were written for another server of WebSockets on gevent.

``geventkws.compat.geventwebsocket`` has the names of gevent-websocket; ``install`` puts other packages on our
frames.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_PACKAGES = ("simple_websocket", "engineio")


def install() -> None:
    """Let simple-websocket and python-engineio use the frames of geventkws, under its servers.

    So do flask-sock, which uses the former, and python-socketio and Flask-SocketIO, which use the latter.

    To be called once, before or after these packages are imported; calling it again does nothing. Under other
    servers, nothing changes. Raises ``ImportError`` if neither package is installed.
    """
    found = [name for name in _PACKAGES if find_spec(name) is not None]
    if not found:
        raise ImportError("install needs simple-websocket or python-engineio, and neither is installed")
    for name in found:
        import_module(f"geventkws.compat.{name}").install()


__all__ = ["install"]
