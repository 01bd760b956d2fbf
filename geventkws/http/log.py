"""The logger of whatever goes wrong with a request."""

import logging

logger = logging.getLogger("geventkws.server")
