"""The application with flask-sock on our frames: ``install`` comes after the imports."""

from geventkws.compat import install
from tests.compat.flask_sock_app import app

install()
install()  # which changes nothing

__all__ = ["app"]
