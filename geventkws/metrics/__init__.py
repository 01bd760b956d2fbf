"""Metrics for Prometheus: counts what a server and its services do. Needs prometheus_client."""

from __future__ import annotations

try:
    import prometheus_client  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "prometheus_client":
        raise
    raise ModuleNotFoundError(
        "geventkws.metrics needs prometheus_client: pip install 'geventkws[metrics]'", name=error.name
    ) from None

from geventkws.metrics.metrics import Metrics

__all__ = ["Metrics"]
