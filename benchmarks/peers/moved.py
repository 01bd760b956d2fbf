"""An application written for another server, ``module:name`` in ``APPLICATION``, on geventkws.

If ``INSTALL`` is not empty, ``geventkws.compat.install`` puts it on our frames.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import os  # noqa: E402

from benchmarks.peers.command_line import ADDRESS, parse_options  # noqa: E402
from benchmarks.peers.geventkws import settings  # noqa: E402
from geventkws import ServiceRegistry, WebSocketServer  # noqa: E402
from geventkws.compat import install  # noqa: E402


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    if os.environ["INSTALL"]:
        install()
    module, _, name = os.environ["APPLICATION"].partition(":")
    application = getattr(importlib.import_module(module), name)
    listener = (ADDRESS, options.port)
    WebSocketServer(listener, application, ServiceRegistry(), **settings(options)).serve_forever()


if __name__ == "__main__":
    main()
