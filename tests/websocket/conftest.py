"""A whole server, for what shows only there."""

from tests.integration.conftest import no_tracebacks, serve

__all__ = ["no_tracebacks", "serve"]
