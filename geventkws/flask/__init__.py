"""WebSockets on the routes of a Flask application: ``Sockets``."""

from geventkws.flask.sockets import Sockets

__all__ = ["Sockets"]
