"""For tests of services: ``connect`` without a port, and what the fixtures of the pytest plugin give."""

from geventkws.testing.client import Client, ConnectionRefused
from geventkws.testing.portless import ServiceClient, connect
from geventkws.testing.servers import RunningServer, ServerFactory

__all__ = ["Client", "ConnectionRefused", "RunningServer", "ServerFactory", "ServiceClient", "connect"]
