"""Servers that count, and what Prometheus reads from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
import requests
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from geventkws import WebSocketService
from geventkws.metrics import Metrics
from tests.integration.conftest import Serve, Site, no_tracebacks, serve
from tests.waiting import PATIENCE

__all__ = ["no_tracebacks", "serve"]

PATH = "/metrics"

PUNCTUAL = 0.95
"""libuv's timers have milliseconds, and may end part of one early."""


class Scraped:
    """The metrics at one time, as a server has answered."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the value of ``geventkws_`` and ``name``; it must be there."""
        key = (f"geventkws_{name}", frozenset(labels.items()))
        assert key in self._values, f"{key} is not in:\n{self.text}"
        return self._values[key]

    def get(self, name: str, **labels: str) -> float:
        """Return the value, 0 for a series that is not there: nothing of the kind has happened."""
        return self._values.get((f"geventkws_{name}", frozenset(labels.items())), 0)


def scrape(port: int, path: str = PATH, **headers: str) -> Scraped:
    """Ask a server for its metrics."""
    answer = requests.get(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE, headers=headers)
    assert answer.status_code == 200
    return Scraped(answer.text)


def wait_for(port: int, value: float, name: str, **labels: str) -> Scraped:
    """Ask until a metric has this value."""
    with gevent.Timeout(PATIENCE, AssertionError(f"{name} has not become {value}")):
        while (scraped := scrape(port)).get(name, **labels) != value:
            gevent.sleep(0.01)
    return scraped


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(PATH, registry=CollectorRegistry())


Count = Callable[..., Site]


@pytest.fixture
def count(serve: Serve, metrics: Metrics) -> Count:
    """Start a server as ``serve`` does, which counts into ``metrics``."""

    def start(service: WebSocketService | None = None, **options: Any) -> Site:
        return serve(service, metrics=metrics, **options)

    return start
