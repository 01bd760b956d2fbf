"""The loggers: one for whatever goes wrong with a request, one for the access log."""

import logging

logger = logging.getLogger("geventkws.server")

access_logger = logging.getLogger("geventkws.access")
