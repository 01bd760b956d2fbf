"""Options are checked when a server is made."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_type_hints

import pytest

from geventkws.options import ABOUT, SECONDS, Options, ServerOptions, shown


def test_what_is_not_given_has_its_default() -> None:
    assert ServerOptions.from_keywords({}) == ServerOptions()


def test_networks_are_kept_as_a_tuple() -> None:
    options = ServerOptions.from_keywords({"trusted_proxies": ["10.0.0.0/8", "unix"]})
    assert options.trusted_proxies == ("10.0.0.0/8", "unix")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("*", ("*",)),
        (["*"], ("*",)),
        ("https://a.example", ("https://a.example",)),
        (["https://a.example:8443", "null"], ("https://a.example:8443", "null")),
    ],
)
def test_origins_are_kept_as_a_tuple(given: object, kept: tuple[str, ...]) -> None:
    assert ServerOptions.from_keywords({"upgrade_origins": given}).upgrade_origins == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_connections", None),
        ("max_requests", 5),
        ("head_timeout", 0.5),
        ("proxy_protocol", True),
        ("spool_chunked", False),
        ("max_spool_size", 1),
        ("server_header", None),
        ("server_header", "me/1.0"),
        ("unix_socket_mode", None),
        ("unix_socket_mode", 0o660),
        ("unix_socket_owner", None),
        ("unix_socket_owner", "www-data"),
        ("unix_socket_owner", ":www-data"),
        ("unix_socket_owner", "0:33"),
    ],
)
def test_values_that_make_sense_are_accepted(name: str, value: object) -> None:
    assert getattr(ServerOptions.from_keywords({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_head_sise", 1, "has no option 'max_head_sise'; did you mean 'max_head_size'"),
        ("colour", 1, "has no option 'colour'$"),
        ("max_head_size", None, "'max_head_size' must be a number, not None"),
        ("max_head_size", 1.5, "'max_head_size' must be a whole number"),
        ("head_timeout", "1", "'head_timeout' must be a number"),
        ("max_head_size", True, "'max_head_size' must be a whole number"),
        ("proxy_protocol", 1, "'proxy_protocol' must be True or False"),
        ("spool_chunked", None, "'spool_chunked' must be True or False"),
        ("max_spool_size", None, "'max_spool_size' must be a number, not None"),
        ("server_header", 1, "'server_header' must be a string or None"),
        ("trusted_proxies", "10.0.0.1", "'trusted_proxies' must be a list"),
        ("unix_socket_mode", "660", "'unix_socket_mode' must be a number such as 0o660"),
        ("unix_socket_mode", True, "'unix_socket_mode' must be a number such as 0o660"),
        ("unix_socket_owner", 33, "'unix_socket_owner' must be a string such as 'user:group'"),
        ("trusted_proxies", b"10.0.0.1", "'trusted_proxies' must be a list"),
        ("trusted_proxies", iter(["10.0.0.1"]), "'trusted_proxies' must be a list"),
        ("trusted_proxies", [5], "each a str, not 5"),
        ("upgrade_origins", b"*", "'upgrade_origins' must be a list of origins"),
        ("upgrade_origins", None, "'upgrade_origins' must be a list of origins"),
        ("upgrade_origins", [5], "each a str, not 5"),
    ],
)
def test_another_name_or_type_is_a_type_error(name: str, value: object, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        ServerOptions.from_keywords({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_head_size", 0),
        ("head_timeout", -1),
        ("max_requests", 0),
        ("head_timeout", float("nan")),
        ("server_header", "a\r\nb"),
        ("trusted_proxies", ["proxy.example"]),
        ("upgrade_origins", ["a.example"]),
        ("upgrade_origins", ["https://a.example/path"]),
        ("upgrade_origins", ["*", "https://a.example"]),
        ("unix_socket_mode", 0),
        ("unix_socket_mode", 660),
        ("unix_socket_mode", -1),
        ("unix_socket_owner", ""),
        ("unix_socket_owner", ":"),
        ("unix_socket_owner", "a:b:c"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_value_error(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"option '{name}'"):
        ServerOptions.from_keywords({name: value})


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_head_size", "1", "'max_head_size' must be a whole number of bytes, not '1'"),
        ("head_timeout", "10s", "'head_timeout' must be a number of seconds, not '10s'"),
        ("max_connections", "5", "'max_connections' must be a whole number, not '5'"),
    ],
)
def test_an_error_names_the_unit(name: str, value: object, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        ServerOptions.from_keywords({name: value})


def test_the_keywords_of_type_checkers_are_the_fields() -> None:
    keywords, fields = get_type_hints(Options), get_type_hints(ServerOptions)
    assert list(keywords) == list(fields)
    for name in "trusted_proxies", "upgrade_origins":
        assert keywords.pop(name) == Collection[str]
        assert fields.pop(name) == tuple[str, ...]
    assert keywords == fields
    assert not Options.__required_keys__


def test_the_clock_enforces_the_time_limits_of_a_connection() -> None:
    whole_server = {"stop_timeout", "drain_window", "block_warning"}
    times = [name for name, known in ABOUT.items() if known.unit == SECONDS and name not in whole_server]
    given = {name: float(number) for number, name in enumerate(times, 1)}
    assert set(given) >= {"head_timeout", "keepalive_timeout", "send_timeout", "max_connection_age"}
    assert ServerOptions.from_keywords(given).time_limits() == list(given.values())


def test_everything_known_stands_with_the_field() -> None:
    for name, known in ABOUT.items():
        assert known.limits
        assert (known.beyond is None) == (known.unit is None), name
        known.check(name, getattr(ServerOptions(), name), str(ServerOptions.__annotations__[name]))


@pytest.mark.parametrize(
    ("default", "unit", "text"),
    [
        (None, "bytes", "none"),
        (65536, "bytes", "64 KiB"),
        (2 * 1024 * 1024, "bytes", "2 MiB"),
        (10.0, "seconds", "10 s"),
        (0.5, "seconds", "0.5 s"),
        (131072, "", "131,072"),
        (False, None, "off"),
        (True, None, "on"),
        ((), None, "none"),
        ("geventkws", None, "geventkws"),
    ],
)
def test_a_default_is_written_as_people_do(default: object, unit: str | None, text: str) -> None:
    assert shown(default, unit) == text
