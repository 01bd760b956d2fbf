"""What gunicorn's settings mean to a server."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config

from geventkws import WebSocketServer
from geventkws.gunicorn.settings import check, server_keywords
from tests.certificates import Certificates


def keywords(given: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    found = server_keywords(cfg, given or {})
    WebSocketServer(("127.0.0.1", 0), **found)  # which takes them
    return found


def test_the_defaults_are_gunicorns() -> None:
    assert keywords() == {
        "max_connections": 1000,
        "max_head_fields": 100,
        "trusted_proxies": ("unix", "127.0.0.1", "::1"),
        "proxy_protocol": False,
        "stop_timeout": 28,
    }


@pytest.mark.parametrize(("graceful", "seconds"), [(30, 28), (3, 1.5), (0, 0.1)])
def test_a_server_stops_before_gunicorn_loses_patience(graceful: int, seconds: float) -> None:
    assert keywords(graceful_timeout=graceful)["stop_timeout"] == seconds


def test_keepalive_counts_if_it_was_set() -> None:
    assert keywords(keepalive=5)["keepalive_timeout"] == 5
    assert "keepalive_timeout" not in keywords(keepalive=2)
    assert keywords(keepalive=0)["max_requests"] == 1


def test_everybody_may_be_trusted() -> None:
    assert keywords(forwarded_allow_ips="*")["trusted_proxies"] == ("unix", "0.0.0.0/0", "::/0")


def test_those_who_may_send_the_proxy_header_are_trusted() -> None:
    found = keywords(proxy_protocol=True, proxy_allow_ips="192.0.2.1", forwarded_allow_ips="127.0.0.1")
    assert found["proxy_protocol"] is True
    assert found["trusted_proxies"] == ("unix", "127.0.0.1", "192.0.2.1")


def test_what_is_given_overrides_it() -> None:
    assert keywords({"max_connections": None})["max_connections"] is None


def test_tls(certificates: Certificates) -> None:
    assert keywords(certfile=certificates.bothfile)["ssl_context"].minimum_version


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"drain_code": 1000}, "'drain_code' must be 1001, 1012"),
        ({"drain_cod": 1012}, "did you mean 'drain_code'?"),
        ({"drain_window": 31}, "graceful_timeout, 30 s, not 31 s"),
        ({"drain_window": 29, "stop_timeout": 28}, "stop_timeout, 28 s, not 29 s"),
    ],
)
def test_a_mistake_is_an_error_that_gunicorn_shows_in_a_line(given: dict[str, Any], text: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        check(given, 30)
    assert text in str(caught.value)


def test_an_argument_that_is_not_an_option_is_left_to_the_server() -> None:
    check({"services": object(), "metrics": object(), "certfile": "x"}, 30)
