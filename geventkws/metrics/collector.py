"""The metrics of one process, read whenever a registry of prometheus_client collects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from geventkws.loop.durations import BOUNDS
from geventkws.metrics.catalogue import FAMILIES, Family, Kind
from geventkws.metrics.counts import Histogram, Reading

MetricFamily = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_CLASSES: dict[Kind, type[MetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}

_BUCKETS = [*map(floatToGoString, BOUNDS), "+Inf"]


class ReadingCollector(Collector):
    """Turns readings into what a registry collects."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without values, so that the registry can detect duplicate names."""
        return list(_families().values())

    def collect(self) -> Iterable[Metric]:
        families = _families()
        for family, labels, value in self._read():
            found = families[family]
            if isinstance(found, HistogramMetricFamily):
                assert isinstance(value, Histogram)
                buckets = list(zip(_BUCKETS, map(float, accumulate(value.counts)), strict=True))
                found.add_metric(labels, buckets, value.seconds)
            else:
                assert not isinstance(value, Histogram)
                found.add_metric(labels, value)
        return list(families.values())


def _families() -> dict[Family, MetricFamily]:
    return {
        family: _CLASSES[family.kind](family.name, family.meaning, labels=family.labels)
        for family in FAMILIES
    }
