"""The origin rule (RFC 6455, sections 4.2.2 and 10.2; RFC 6454; RFC 9110, 7.2)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geventkws.protocol.origin import Authority, Origin, origin_allowed, parse_authority, parse_origin
from tests.cost import linear_time

# Text made of the characters in the grammars gets further than arbitrary text.
ORIGINLIKE = st.text("aA0:/[]@.?#%*, \t-nul\x00é") | st.text()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com:8080", "example.com:8080"),
        ("https://example.com:8443", "example.com:8443"),
        # a missing port is the default of the origin's scheme, on either side
        ("http://example.com", "example.com:80"),
        ("http://example.com:80", "example.com"),
        ("https://example.com", "example.com:443"),
        ("https://example.com:443", "example.com"),
        ("http://example.com", "example.com:"),
        ("http://example.com:0080", "example.com"),
        ("ws://example.com", "example.com:80"),
        ("wss://example.com", "example.com:443"),
        # scheme and host are case-insensitive
        ("HTTP://Example.COM", "eXAMPLE.com"),
        ("http://XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        # addresses
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[::1]", "[0:0:0:0:0:0:0:1]:80"),
        ("http://[2001:DB8::1]", "[2001:db8:0::1]"),
        ("http://localhost", "localhost"),
        ("http://my_host", "my_host"),
        # a scheme without a default port must name one
        ("app://example.com:8080", "example.com:8080"),
    ],
)
def test_a_page_of_the_same_host_and_port_may_connect(origin, host):
    assert origin_allowed(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.com"),
        ("http://sub.example.com", "example.com"),
        ("http://example.com", "sub.example.com"),
        ("http://example.com.evil.example", "example.com"),
        ("http://example.com.", "example.com"),
        ("http://example.com:8080", "example.com"),
        ("http://example.com", "example.com:8080"),
        ("http://example.com", "example.com:443"),
        ("https://example.com", "example.com:80"),
        ("http://[::1]", "[::2]"),
        ("http://[::1]", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]", "127.0.0.1"),
        ("http://127.0.0.1", "localhost"),
        ("app://example.com", "example.com"),
        ("chrome-extension://abcdef", "abcdef"),
        ("http://ex%61mple.com", "example.com"),
        ("http://example.com", "not a host"),
        ("http://example.com", ""),
    ],
)
def test_a_page_of_another_host_or_port_may_not_connect(origin, host):
    assert not origin_allowed(origin, host)


MALFORMED = [
    "",
    " ",
    "null",
    "NULL",
    "example.com",
    "//example.com",
    "http:example.com",
    "http:/example.com",
    "http://",
    "http:///",
    "http://:80",
    "http://example.com//",
    "http://example.com/path",
    "http://example.com?",
    "http://example.com#",
    "http://user@example.com",
    "http://user:password@example.com",
    "http://example.com http://example.com",
    "http://example.com, http://example.com",
    "http://example.com:80:80",
    "http://example.com:+80",
    "http://example.com:-1",
    "http://example.com:65536",
    "http://example.com:000080",
    "http://example.com:８０",
    "http://example.com:port",
    "http://example.com\\",
    "http://example%",
    "http://example%4",
    "http://example%gg",
    "http://exam ple.com",
    "http://example.com\n",
    "\thttp://example.com",
    "http://bücher.example",
    "http://[::1",
    "http://::1",
    "http://[]",
    "http://[:]",
    "http://[:::]",
    "http://[1:2:3:4:5:6:7:8:9]",
    "http://[12345::]",
    "http://[127.0.0.1]",
    "http://[fe80::1%25eth0]",
    "http://[fe80::1%eth0]",
    "http://[v1.a]",
    "http://[::1]a",
    "1http://example.com",
    "+http://example.com",
    "ht_tp://example.com",
    "*",
]


@pytest.mark.parametrize("origin", MALFORMED)
def test_a_malformed_or_opaque_origin_is_foreign(origin):
    assert parse_origin(origin) is None
    host = origin.partition("://")[2]
    assert not origin_allowed(origin, host)
    assert not origin_allowed(origin, "example.com")
    assert not origin_allowed(origin, "example.com", ["http://example.com"])


def test_a_slash_after_an_origin_is_not_part_of_it():
    assert origin_allowed("http://example.com/", "example.com")
    assert origin_allowed("http://example.com:80/", "other", ["http://example.com"])
    assert not origin_allowed("http://evil.example/", "example.com")
    assert not origin_allowed("http://example.com/page", "example.com")
    assert not origin_allowed("http://example.com/page/", "example.com")


@pytest.mark.parametrize("origin", [*MALFORMED, "http://evil.example", "http://example.com"])
def test_a_star_allows_any_origin(origin):
    assert origin_allowed(origin, "example.com", "*")


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com",
        "https://example.com:443",
        "HTTPS://EXAMPLE.COM",
        "http://other.example:8080",
        "http://[::1]",
        "app://desktop",
    ],
)
def test_a_listed_origin_may_connect_to_any_host(origin):
    listed = ["https://example.com", "http://Other.example:8080", "http://[0::1]:80", "app://desktop"]
    assert origin_allowed(origin, "another.example", listed)


@pytest.mark.parametrize(
    "origin",
    [
        "http://example.com",
        "https://example.com:80",
        "https://sub.example.com",
        "https://example.co",
        "app://example.com",
        "wss://example.com",
    ],
)
def test_an_origin_that_is_not_listed_may_not_connect_even_to_its_own_host(origin):
    assert not origin_allowed(origin, origin.partition("://")[2], ["https://example.com"])


def test_an_empty_list_allows_no_origin():
    assert not origin_allowed("http://example.com", "example.com", [])


def test_a_single_string_is_a_list_of_one():
    assert origin_allowed("https://example.com", "a", "https://example.com:443")
    assert not origin_allowed("https://example.com", "example.com", "https://a")


def test_the_null_origin_may_connect_only_if_it_is_listed():
    assert not origin_allowed("null", "null")
    assert not origin_allowed("null", "a", ["http://a"])
    assert not origin_allowed("http://a/", "a", ["null"])
    assert origin_allowed("null", "a", ["http://a", "null"])
    assert origin_allowed("null", "a", "null")


def test_a_malformed_entry_of_a_list_allows_nothing():
    assert not origin_allowed("http://a", "a", ["*", "a", "http://a/"])
    assert not origin_allowed("*", "a", ["*"])


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("example.com", Authority("example.com", None)),
        ("Example.com:8080", Authority("example.com", 8080)),
        ("example.com:", Authority("example.com", None)),
        ("example.com:0", Authority("example.com", 0)),
        ("example.com:65535", Authority("example.com", 65535)),
        ("[::1]", Authority("::1", None)),
        ("[2001:DB8:0:0::1]:443", Authority("2001:db8::1", 443)),
        ("a!$&'()*+,;=-._~%2f", Authority("a!$&'()*+,;=-._~%2f", None)),
        ("", None),
        (":80", None),
        ("example.com:65536", None),
        ("user@example.com", None),
        ("example.com/", None),
        ("a, b", None),
        ("a b", None),
        ("::1", None),
        ("[::1", None),
        ("[g::1]", None),
        ("[::1]]", None),
    ],
)
def test_the_authority_of_a_host_field(text, authority):
    assert parse_authority(text) == authority


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("HTTPS://A", Origin("https", "a", 443)),
        ("https://a:8443", Origin("https", "a", 8443)),
        ("vscode-webview://a", Origin("vscode-webview", "a", None)),
    ],
)
def test_the_normal_form_of_an_origin(text, origin):
    assert parse_origin(text) == origin


@given(ORIGINLIKE, ORIGINLIKE, st.none() | ORIGINLIKE | st.lists(ORIGINLIKE))
@example("http://" + "[" * 1000, "[" * 1000, None)
def test_any_text_gets_an_answer(origin, host, allowed):
    assert origin_allowed(origin, host, allowed) in (True, False)


@given(ORIGINLIKE)
def test_by_default_only_a_well_formed_origin_is_allowed(text):
    if origin_allowed(f"http://{text}", text):
        assert parse_origin(f"http://{text}") is not None
        assert parse_authority(text) is not None


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_every_spelling_of_an_ipv6_address_is_the_same_host(address, port):
    assert origin_allowed(f"http://[{address.exploded}]:{port}", f"[{address.compressed}]:{port}")


@pytest.mark.parametrize("unit", ["a", "%41", "[", ":", "0", "/", "a.", "%", "[::1]", "http://"])
def test_a_megabyte_is_judged_in_linear_time(unit):
    text = unit * (2**20 // len(unit))
    for origin, host in (
        (text, text),
        (f"http://{text}", text),
        (f"{text}://a", "a"),
        (f"http://a:{text}", "a"),
    ):
        with linear_time():
            origin_allowed(origin, host)
            origin_allowed(origin, host, [origin])
