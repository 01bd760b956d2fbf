"""For tests of services: ``connect``, which needs no port, and what the pytest plugin's fixtures use."""

from geventkws.testing.client import Client, ConnectionRefused
from geventkws.testing.portless import ServiceClient, connect
from geventkws.testing.servers import RunningServer, ServerFactory

__all__ = ["Client", "ConnectionRefused", "RunningServer", "ServerFactory", "ServiceClient", "connect"]
