"""For applications that were written for another server of WebSockets on gevent.

``geventkws.compat.geventwebsocket`` has the names of gevent-websocket; ``install`` puts other packages on our
frames.
"""


def install() -> None:
    """Let simple-websocket, and with it flask-sock, use the frames of geventkws, under its servers.

    To be called once, before or after these packages are imported; calling it again does nothing. Under other
    servers, nothing changes. Raises ``ImportError`` if simple-websocket is not installed.
    """
    from geventkws.compat import simple_websocket

    simple_websocket.install()


__all__ = ["install"]
