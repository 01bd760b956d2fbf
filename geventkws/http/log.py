"""The loggers: of whatever goes wrong with a request, and of the requests answered."""

import logging

logger = logging.getLogger("geventkws.server")

access_logger = logging.getLogger("geventkws.access")
