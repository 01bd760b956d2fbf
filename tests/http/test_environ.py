from __future__ import annotations

import pytest

from geventkws.http.environ import EnvironBuilder
from tests.http.memory import head_of

BUILDER = EnvironBuilder("example.org", 8080)
REMOTE = ("192.0.2.1", 5000)


def build(data: bytes, builder: EnvironBuilder = BUILDER):
    return builder.build(head_of(data), REMOTE)


def test_the_environ_has_what_pep_3333_asks_for() -> None:
    environ = build(
        b"POST /a%20b/%C3%A9?x=%20 HTTP/1.1\r\nHost: h\r\nContent-Type: t/p\r\nContent-Length: 3\r\n\r\n"
    )
    wanted = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa9",
        "QUERY_STRING": "x=%20",
        "REQUEST_URI": "/a%20b/%C3%A9?x=%20",
        "CONTENT_TYPE": "t/p",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "h",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "5000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
    }
    assert {key: environ[key] for key in wanted} == wanted
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert "wsgi.input_terminated" not in environ
    assert environ["wsgi.input"].read() == b""


def test_a_question_mark_in_the_query_belongs_to_the_query() -> None:
    environ = build(b"GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a", "b?c")


def test_lines_of_one_name_are_joined() -> None:
    environ = build(b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\nCookie: c=1\r\nCookie: d=2\r\n\r\n")
    assert environ["HTTP_A"] == "1, 2"
    assert environ["HTTP_COOKIE"] == "c=1; d=2"


@pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
@pytest.mark.parametrize("lines", ["{}: http://evil.example\r\n", "{}: a\r\n{}: b\r\nA: 1\r\na: 2\r\n"])
def test_a_proxy_field_does_not_become_the_proxy_of_outgoing_requests(name: str, lines: str) -> None:
    builder = EnvironBuilder("example.org", 8080)
    for _ in range(2):
        head = f"GET / HTTP/1.1\r\nHost: h\r\n{lines.format(name, name)}B: 3\r\n\r\n"
        environ = build(head.encode(), builder)
        assert "HTTP_PROXY" not in environ
        assert environ["HTTP_B"] == "3"
        assert environ.get("HTTP_A", "1, 2") == "1, 2"


def test_each_request_has_its_own_environ() -> None:
    build(b"GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n")["wsgi.version"] = None
    environ = build(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert "HTTP_X" not in environ
    assert environ["wsgi.version"] == (1, 0)


def test_the_scheme_is_https_if_the_server_is_secure() -> None:
    builder = EnvironBuilder("h", 443, secure=True)
    assert build(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", builder)["wsgi.url_scheme"] == "https"


def test_the_peer_of_a_unix_socket_has_no_port() -> None:
    environ = BUILDER.build(head_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "")
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ


def test_names_made_up_by_clients_are_not_kept_without_limit() -> None:
    builder = EnvironBuilder("h", 80)
    for number in range(3000):
        environ = build(b"GET / HTTP/1.1\r\nHost: h\r\nX-%d: 1\r\n\r\n" % number, builder)
        assert environ[f"HTTP_X_{number}"] == "1"
    assert len(builder._keys) <= 1024


def test_a_unix_socket_has_the_port_of_its_scheme() -> None:
    for secure, port in ((False, "80"), (True, "443")):
        environ = build(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", EnvironBuilder("", "", secure=secure))
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", port)


def test_a_forwarded_address_without_a_port_has_none() -> None:
    environ = BUILDER.build(head_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), ("192.0.2.1", 0))
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert "REMOTE_PORT" not in environ


def test_what_a_proxy_says_replaces_the_servers_own_values() -> None:
    said = {"wsgi.url_scheme": "https", "SERVER_PORT": "443"}
    environ = BUILDER.build(head_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), REMOTE, proxied=said)
    assert said.items() <= environ.items()
    assert build(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")["SERVER_PORT"] == "8080"


@pytest.mark.parametrize(
    "data", [b"GET /% HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"]
)
def test_a_percent_sign_that_escapes_nothing_is_kept(data: bytes) -> None:
    assert build(data)["PATH_INFO"] == data.split()[1].decode()
