"""What Prometheus gets, and where."""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from geventkws import ServiceRegistry, WebSocketServer
from geventkws.metrics import Metrics
from geventkws.metrics.catalogue import FAMILIES, LABELS, Kind
from tests.integration.conftest import Echo, Serve
from tests.metrics.conftest import PATH, Count, scrape
from tests.programs import ROOT
from tests.raw import TEXT, close_frame, masked
from tests.waiting import PATIENCE


def ask(port: int, path: str = PATH, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=PATIENCE, headers=headers)


def test_every_metric_of_the_catalogue_is_there_and_no_other(count: Count) -> None:
    site = count(Echo())
    client = site.connect()
    client.send(masked(TEXT, "x") + close_frame(1000))
    client.read_to_end()
    ask(site.port)
    families = scrape(site.port).families
    assert set(families) == {family.name.removesuffix("_total") for family in FAMILIES}
    for family in FAMILIES:
        found = families[family.name.removesuffix("_total")]
        assert (found.type, found.documentation) == (family.kind, family.meaning)
        assert found.samples, f"nothing of {family.name} is there"
        for sample in found.samples:
            assert set(sample.labels) - {"le"} == set(family.labels)


def test_names_are_in_base_units_and_end_as_their_kind_requires() -> None:
    for family in FAMILIES:
        assert family.name.startswith("geventkws_")
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert family.name.endswith("_seconds") == (family.kind is Kind.HISTOGRAM)
        assert bool(family.over_processes) == (family.kind is Kind.GAUGE)
        assert set(family.labels) <= set(LABELS)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_both_text_formats_are_available_and_compressed_if_the_client_accepts_that(count: Count) -> None:
    site = count(Echo())
    site.connect()
    plain = ask(site.port)
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert plain.headers["Cache-Control"] == "no-store"
    modern = ask(site.port, Accept="application/openmetrics-text; version=1.0.0")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert len(list(parse_openmetrics(modern.text))) == len(FAMILIES)
    packed = requests.get(
        f"http://127.0.0.1:{site.port}{PATH}",
        headers={"Accept-Encoding": "gzip"},
        timeout=PATIENCE,
        stream=True,
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"geventkws_websocket_connections" in gzip.decompress(packed.raw.read())


def test_head_is_get_without_a_body_and_other_methods_are_refused(count: Count) -> None:
    site = count()
    head = ask(site.port, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == ask(site.port).headers["Content-Type"]
    assert ask(site.port, method="POST").status_code == 405


def test_all_other_paths_belong_to_the_application(count: Count) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"the application"]

    site = count(application=application)
    for path in ("/", "/metrics/", "/metrics/x", "/METRICS"):
        assert ask(site.port, path).content == b"the application"
    assert b"geventkws_" in ask(site.port, f"{PATH}?x=1").content


def test_without_a_path_only_the_application_of_the_metrics_answers(serve: Serve) -> None:
    metrics = Metrics(registry=CollectorRegistry())
    site = serve(Echo(), metrics=metrics)
    site.connect()
    assert ask(site.port).status_code == 404
    other = WebSocketServer(("127.0.0.1", 0), metrics.application, ServiceRegistry())
    other.start()
    try:
        assert other.server_port is not None
        assert scrape(other.server_port).value("websocket_connections", service="/service") == 1
        assert scrape(other.server_port, "/").value("http_connections") == 0
    finally:
        other.stop(timeout=1)


def test_the_programs_own_metrics_are_on_the_same_page(serve: Serve) -> None:
    registry = CollectorRegistry()
    orders = Counter("shop_orders_total", "Orders", registry=registry)
    site = serve(metrics=Metrics(PATH, registry=registry))
    orders.inc(3)
    assert "shop_orders_total 3.0" in ask(site.port).text


def test_a_registry_accepts_only_one_of_them() -> None:
    registry = CollectorRegistry()
    Metrics(registry=registry)
    with pytest.raises(ValueError, match="one Metrics is enough for all servers of a process"):
        Metrics(registry=registry)


@pytest.mark.parametrize(
    ("path", "mistake", "text"),
    [
        ("metrics", ValueError, "must be like '/metrics', not 'metrics'"),
        ("/metrics?all", ValueError, "must be like '/metrics'"),
        (9100, TypeError, "must be a str such as '/metrics', not 9100"),
    ],
)
def test_a_path_is_a_path(path: Any, mistake: type[Exception], text: str) -> None:
    with pytest.raises(mistake, match=text):
        Metrics(path, registry=CollectorRegistry())


def test_without_metrics_prometheus_client_is_not_needed() -> None:
    program = (
        "import sys, geventkws, geventkws.testing, geventkws.server.server\n"
        "print([name for name in sys.modules if 'prometheus' in name or 'geventkws.metrics' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "[]\n"


def test_without_prometheus_client_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "try:\n    import geventkws.metrics\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "geventkws.metrics needs prometheus_client: pip install 'geventkws[metrics]'\n"
