"""The application with simple-websocket on our frames: ``install`` comes before the import."""

from geventkws.compat import install

install()

from tests.compat.simple_websocket_app import app  # noqa: E402

__all__ = ["app"]
