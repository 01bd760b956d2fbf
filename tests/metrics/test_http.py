"""What is counted of HTTP."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
import requests

from tests.integration.conftest import Echo
from tests.metrics.conftest import PUNCTUAL, Count, Scraped, scrape, wait_for
from tests.metrics.test_websockets import buckets
from tests.raw import TEXT, masked, upgrade_request
from tests.waiting import PATIENCE

NAME = "http_request_duration_seconds"


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/slow":
        gevent.sleep(0.3)
    if path == "/fails":
        raise LookupError("a mistake of the application")
    status = path[1:] if path[1:].isdigit() else "200"
    start_response(f"{status} So", [("Content-Length", "0")])
    return []


def requests_counted(scraped: Scraped) -> dict[tuple[str, str], float]:
    """Return how many requests there were by method and status, those for the metrics left out."""
    found = {}
    for sample in scraped.families[f"geventkws_{NAME}"].samples:
        if sample.name.endswith("_count"):
            key = sample.labels["method"], sample.labels["status"]
            found[key] = sample.value
    return found


@pytest.mark.parametrize(
    ("sent", "status", "counted"),
    [
        ("GET /200", 200, ("GET", "2xx")),
        ("GET /304", 304, ("GET", "3xx")),
        ("HEAD /200", 200, ("HEAD", "2xx")),
        ("POST /503", 503, ("POST", "5xx")),
        ("DELETE /404", 404, ("DELETE", "4xx")),
        ("OPTIONS *", 200, ("OPTIONS", "2xx")),
        ("PROPFIND /200", 200, ("other", "2xx")),
        ("GET /999", 999, ("GET", "9xx")),
    ],
)
def test_requests_are_counted_by_method_and_class_of_status(
    count: Count, sent: str, status: int, counted: tuple[str, str]
) -> None:
    site = count(application=application)
    client = site.connect(None)
    client.send(f"{sent} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert client.read_head().startswith(f"HTTP/1.1 {status} ")
    assert requests_counted(scrape(site.port)) == {counted: 1}


@pytest.mark.logs_errors
def test_what_the_server_answers_itself_is_counted(count: Count) -> None:
    site = count(application=application, head_timeout=0.2, max_target_size=20)
    for sent in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /",
        b"nonsense\r\n\r\n",
        b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        client = site.connect(None)
        client.send(sent)
        client.read_to_end()
    # Of the first three no method is known: 400, 408, 400.
    assert requests_counted(scrape(site.port)) == {("other", "4xx"): 3, ("GET", "5xx"): 1}


def test_a_request_takes_as_long_as_its_answer(count: Count) -> None:
    site = count(application=application)
    assert requests.get(f"http://127.0.0.1:{site.port}/slow", timeout=PATIENCE).status_code == 200
    scraped = scrape(site.port)
    ((bound, number),) = buckets(scraped, NAME).items()
    assert bound >= 0.5
    assert number == 1
    assert 0.3 * PUNCTUAL <= scraped.value(f"{NAME}_sum", method="GET", status="2xx") < PATIENCE


def test_each_of_several_requests_sent_together_is_timed_from_its_own_head(count: Count) -> None:
    site = count(application=application)
    client = site.connect(None)
    fast, slow = (f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in ("200", "slow"))
    client.send(slow + fast * 9)
    for _ in range(10):
        assert client.read_head().startswith("HTTP/1.1 200 ")
    scraped = scrape(site.port)
    assert scraped.value(f"{NAME}_count", method="GET", status="2xx") == 10
    # Those behind the slow one wait for it, but not since their own heads were read. A busy machine
    # may hold up one of them.
    assert sum(number for bound, number in buckets(scraped, NAME).items() if bound <= 0.25) > 4


def test_the_wait_for_a_full_pool_counts(count: Count) -> None:
    site = count(application=application, spawn=1)
    clients = [site.connect(None) for _ in range(2)]
    for client in clients:
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    for client in clients:
        client.read_head()
    scraped = scrape(site.port)
    # One after the other: 0.3 s and 0.6 s.
    assert scraped.value(f"{NAME}_sum", method="GET", status="2xx") >= 0.9 * PUNCTUAL


def test_an_upgrade_counts_as_a_request_only_if_it_is_refused(count: Count) -> None:
    site = count(Echo())
    client = site.connect()
    client.send(masked(TEXT, "x"))
    client.frame()
    refused = site.connect(None)
    refused.send(upgrade_request("/nowhere"))
    refused.read_to_end()
    assert requests_counted(scrape(site.port)) == {("GET", "4xx"): 1}


def test_connections_that_speak_http_are_counted(count: Count) -> None:
    site = count(Echo())
    clients = [site.connect(None) for _ in range(3)]
    site.connect()
    # With the one that asks.
    wait_for(site.port, 4, "http_connections")
    for client in clients:
        client.close()
    wait_for(site.port, 1, "http_connections")
