"""The request as services see it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol.headers import Headers
from geventkws.request import QueryParameters, Request, split_target
from tests.cost import linear_time

LATIN1_LINE = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\n"))
TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))

BROWSER_HEADERS = (
    ("Host", "chat.example.com:8080"),
    ("Connection", "Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    ),
    ("Upgrade", "websocket"),
    ("Origin", "http://chat.example.com:8080"),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,en-US;q=0.6"),
    (
        "Cookie",
        "session=eyJ1c2VyIjoiYWxpY2UiLCJyb29tIjoibG9iYnkifQ.Zy0aQw.Jq3v5c0dQm8m7xJt2bK1n4s9w0E; theme=dark",
    ),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
)


@dataclass
class Head:
    """The parts of a request head, as the HTTP reader gives them."""

    method: str = "GET"
    target: str = "/chat"
    version: str = "1.1"
    headers: tuple[tuple[str, str], ...] = ()


def no_environ(made):
    return {}


def request(target="/chat", *headers, remote_address=("127.0.0.1", 50000), build_environ=no_environ):
    return Request.from_head(Head(target=target, headers=headers), remote_address, build_environ)


def cookies(*lines):
    return request("/", *(("Cookie", line) for line in lines)).cookies


# The head


def test_a_request_has_what_its_head_had():
    made = Request.from_head(Head("GET", "/a?b", "1.1", BROWSER_HEADERS), ("192.0.2.1", 1024), no_environ)
    assert (made.method, made.target, made.version) == ("GET", "/a?b", "1.1")
    assert made.headers == Headers(BROWSER_HEADERS)
    assert made.headers.pairs == BROWSER_HEADERS
    assert made.headers["user-agent"].startswith("Mozilla/5.0")


def test_a_head_may_have_no_header_fields():
    assert request("/").headers == Headers()


def test_values_may_be_empty_and_hold_colons_and_latin1():
    made = request("/", ("A", ""), ("B", "http://a:80"), ("C", "caf\xe9\xff\x80"), ("A", ":"))
    assert made.headers.pairs == (("A", ""), ("B", "http://a:80"), ("C", "caf\xe9\xff\x80"), ("A", ":"))


@pytest.mark.parametrize(
    "head",
    [
        Head(headers=(("A", "b\nX-Forged: 1"),)),
        Head(headers=(("A\n", "b"),)),
        Head(target="/\n"),
        Head(target="/ 1.1\n\n"),
        Head(method="GET\n"),
    ],
)
def test_a_line_feed_in_a_head_cannot_forge_a_line(head):
    with pytest.raises(ValueError, match="line feed"):
        Request.from_head(head, "", no_environ)


def test_a_request_reads_as_its_request_line_and_peer():
    assert repr(request("/a\x1b?b")) == "<Request GET '/a\\x1b?b' from ('127.0.0.1', 50000)>"


def test_a_request_has_no_attributes_but_its_own():
    with pytest.raises(AttributeError):
        request().user = "alice"


@given(TOKENS, LATIN1_LINE, st.lists(st.tuples(TOKENS, LATIN1_LINE)))
def test_whatever_a_head_has_comes_back(method, target, headers):
    made = Request.from_head(Head(method, target, "1.1", tuple(headers)), ("::1", 1), no_environ)
    assert (made.method, made.target, made.version) == (method, target, "1.1")
    assert made.headers == Headers(headers)
    assert made.remote_address == ("::1", 1)


@given(LATIN1_LINE, LATIN1_LINE)
def test_every_attribute_has_a_value_whatever_is_sent(target, cookie):
    made = request(target, ("Cookie", cookie))
    assert isinstance(made.path, str)
    assert all(isinstance(value, str) for value in made.query.values())
    assert all(isinstance(value, str) for value in made.cookies.values())
    assert repr(made).isprintable() or not target.isascii()


# The target


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/chat", "/chat", ""),
        ("/chat?a=b", "/chat", "a=b"),
        ("/chat?a?b", "/chat", "a?b"),
        ("/chat?", "/chat", ""),
        ("/?", "/", ""),
        ("//chat", "//chat", ""),
        ("/a://b", "/a://b", ""),
        ("/r%3Fa%2Fb?c%3D", "/r%3Fa%2Fb", "c%3D"),
        ("http://example.com/chat?a=b", "/chat", "a=b"),
        ("http://example.com//chat", "//chat", ""),
        ("http://example.com", "/", ""),
        ("http://example.com?a=http://b/c", "/", "a=http://b/c"),
        ("*", "*", ""),
        ("example.com:80", "example.com:80", ""),
        ("", "", ""),
    ],
)
def test_a_target_is_split_into_path_and_query(target, path, query):
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/chat?x=1", "/chat"),
        ("/caf%C3%A9%20bar", "/café bar"),
        ("/caf\xc3\xa9", "/café"),
        ("/a%2Fb%3f", "/a/b?"),
        ("/a+b", "/a+b"),
        ("/a%FF", "/a\ufffd"),
        ("/a\xff", "/a\ufffd"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("http://example.com/a%20b", "/a b"),
    ],
)
def test_the_path_is_percent_decoded(target, path):
    assert request(target).path == path


# The query


def test_an_item_of_the_query_is_the_first_value_and_get_all_has_every():
    query = request("/?room=lobby&nick=J%C3%B6rg+K&room=attic").query
    assert query["room"] == "lobby"
    assert query["nick"] == "Jörg K"
    assert query.get_all("room") == ["lobby", "attic"]
    assert dict(query) == {"room": "lobby", "nick": "Jörg K"}
    assert list(query) == ["room", "nick"]
    assert len(query) == 2
    assert query.pairs == (("room", "lobby"), ("nick", "Jörg K"), ("room", "attic"))


def test_a_missing_parameter_is_a_key_error_and_get_gives_the_default():
    query = request("/?a=1").query
    with pytest.raises(KeyError):
        query["b"]
    assert query.get("b") is None
    assert query.get_all("b") == []
    assert "b" not in query
    assert "A" not in query, "names have a case"


@pytest.mark.parametrize(
    ("target", "pairs"),
    [
        ("/", ()),
        ("/?", ()),
        ("/?&&", ()),
        ("/?a", (("a", ""),)),
        ("/?a=", (("a", ""),)),
        ("/?=b", (("", "b"),)),
        ("/?a=b=c", (("a", "b=c"),)),
        ("/?a;b=c", (("a;b", "c"),)),
        ("/?a=%26&b=%3D", (("a", "&"), ("b", "="))),
        ("/?a=\xc3\xa9", (("a", "é"),)),
        ("/?a=%FF", (("a", "\ufffd"),)),
        ("/?a=%", (("a", "%"),)),
    ],
)
def test_a_query_is_read_as_forms_are_sent(target, pairs):
    assert request(target).query.pairs == pairs


def test_queries_compare_by_name_and_values_and_show_their_pairs():
    query = QueryParameters([("a", "1"), ("b", "2")])
    assert query == QueryParameters([("b", "2"), ("a", "1")])
    assert query != QueryParameters([("a", "1")])
    assert query != {"a": "1", "b": "2"}
    assert repr(query) == "QueryParameters([('a', '1'), ('b', '2')])"


def test_changing_the_list_of_get_all_does_not_change_the_query():
    query = QueryParameters([("a", "1")])
    query.get_all("a").append("2")
    assert query.get_all("a") == ["1"]


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_any_text_survives_in_a_query(pairs):
    assert list(request("/?" + urlencode(pairs)).query.pairs) == pairs


# Cookies


def test_cookies_are_read_by_name():
    assert cookies("session=abc.def; theme=dark") == {"session": "abc.def", "theme": "dark"}


def test_a_request_without_cookies_has_none():
    assert request("/").cookies == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        (";", {}),
        ("a", {}),
        ("=b", {}),
        (" =b", {}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=b;c=d", {"a": "b", "c": "d"}),
        ("\ta = b ;\tc=d;", {"a": "b", "c": "d"}),
        ("a; b=c", {"b": "c"}),
        ("a=1; A=2", {"a": "1", "A": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=b,c", {"a": "b,c"}),
        ("a=\xc3\xa9", {"a": "é"}),
        ("a=\xff", {"a": "\ufffd"}),
        ("a[b]=c", {"a[b]": "c"}),
        ("a=%20+", {"a": "%20+"}),
        ('a="b c"', {"a": "b c"}),
        ('a=""', {"a": ""}),
        ('a="', {"a": '"'}),
        ('a="b', {"a": '"b'}),
        (r'a="J\303\266rg\073\054 \"x\" \\"', {"a": 'Jörg;, "x" \\'}),
        (r'a="\400\18\377"', {"a": "40018\ufffd"}),
        ('a="b\\"', {"a": "b\\"}),
        (r"a=\303", {"a": r"\303"}),
    ],
)
def test_a_cookie_line(line, expected):
    assert cookies(line) == expected


def test_several_cookie_lines_are_one():
    assert cookies("a=1", "b=2; a=3") == {"a": "1", "b": "2"}


@given(st.text(st.characters(max_codepoint=0x7F, exclude_categories=["Cc"])))
def test_a_cookie_set_by_the_standard_library_comes_back(value):
    jar = SimpleCookie()
    jar["nick"] = value
    assert cookies(jar.output(header="", sep=";").strip()) == {"nick": value}


# The peer


@pytest.mark.parametrize(
    ("given_address", "address"),
    [
        (("127.0.0.1", 50000), ("127.0.0.1", 50000)),
        (("::1", 50000, 0, 0), ("::1", 50000)),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::1%eth0", 1)),
        (("127.0.0.1", 0), ("127.0.0.1", 0)),
        ("", ""),
        ("/run/client.sock", "/run/client.sock"),
        ("/tmp/a b\n\nc \udcff é", "/tmp/a b\n\nc \udcff é"),
        ("\x00abstract", "\x00abstract"),
        ("8 of them", "8 of them"),
    ],
)
def test_the_address_of_the_peer_is_host_and_port_or_a_path(given_address, address):
    assert request("/", remote_address=given_address).remote_address == address


# The environ


def test_the_environ_is_built_from_the_request_each_time_it_is_asked_for():
    def build_environ(made):
        return {"REQUEST_METHOD": made.method, "PATH_INFO": made.path}

    made = request("/caf%C3%A9", build_environ=build_environ)
    environ = made.environ
    assert environ == {"REQUEST_METHOD": "GET", "PATH_INFO": "/café"}
    assert made.environ is not environ


# Memory


def test_a_request_of_a_browser_takes_little_more_than_its_head():
    head = Head("GET", "/chat?nick=alice", "1.1", BROWSER_HEADERS)
    made = Request.from_head(head, ("192.0.2.123", 50000), no_environ)
    wire = f"GET {head.target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in head.headers) + "\r\n"
    assert 650 <= len(wire) <= 700
    # The size of an object that refers only to bytes and a function that all requests share.
    own = sys.getsizeof(made) + sys.getsizeof(made._packed)
    assert own <= len(wire) + 100
    for name in ("headers", "query", "cookies", "path", "remote_address"):
        getattr(made, name)
    assert sys.getsizeof(made) + sys.getsizeof(made._packed) == own, "nothing is kept of what was read"


@pytest.mark.parametrize("unit", ["a=b;", ";", "=", "a;", '"', "\\", '\\"', " ", "a=b&", "%", "&", "%41"])
def test_a_quarter_of_a_megabyte_is_read_in_linear_time(unit):
    text = unit * (2**18 // len(unit))
    with linear_time():
        made = request(f"/{text}?{text}", ("Cookie", text), ("Cookie", f'a="{text}"'))
        assert made.path
        assert len(dict(made.query)) <= 2
        assert len(made.cookies) <= 2


def test_many_names_are_read_in_linear_time():
    names = [str(number) for number in range(50_000)]
    with linear_time():
        made = request("/?" + "&".join(names), ("Cookie", ";".join(f"{name}=" for name in names)))
        assert len(dict(made.query)) == len(made.cookies) == 50_000
