"""The pytest plugin of geventkws, beside the package: gevent is imported only when a fixture is first used.

pytest loads all plugins of an environment before a project's ``conftest.py`` can patch the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from geventkws.testing import ServerFactory, ServiceClient


@pytest.fixture
def websocket_server() -> Iterator[ServerFactory]:
    """Start servers: ``websocket_server(service, "/path")``, or ``application=`` or ``services=``.

    Each is closed after the test, which fails if a connection or a greenlet has not ended by then.
    """
    from geventkws.testing import ServerFactory

    factory = ServerFactory()
    yield factory
    leaks = factory.close()
    if leaks:
        pytest.fail("\n".join(leaks), pytrace=False)


@pytest.fixture
def websocket_connect() -> Iterator[Callable[..., ServiceClient]]:
    """``geventkws.testing.connect``, whose clients are closed after the test."""
    from geventkws.testing import connect

    clients: list[ServiceClient] = []

    def connect_until_the_end(*args: Any, **options: Any) -> ServiceClient:
        clients.append(connect(*args, **options))
        return clients[-1]

    yield connect_until_the_end
    for client in clients:
        client.close()
