"""What is believed of what proxies say, and which proxies are believed."""

from __future__ import annotations

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.forwarded import TrustedProxies, parse_forwarded, parse_node
from tests.http.memory import head_of

PROXY = ("10.0.0.1", 4000)
PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32"])


def resolve(*lines: str, peer=PROXY, proxies=PROXIES):
    fields = "".join(f"{line}\r\n" for line in lines)
    return proxies.resolve(head_of(f"GET / HTTP/1.1\r\nHost: own\r\n{fields}\r\n".encode("latin-1")), peer)


def test_only_addresses_and_networks_of_the_list_are_trusted() -> None:
    proxies = TrustedProxies(["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"])
    for host in ("192.0.2.7", "10.255.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1%eth0"):
        assert proxies.trusts((host, 1))
    for host in ("192.0.2.8", "11.0.0.1", "2001:db9::1", ""):
        assert not proxies.trusts((host, 1))
    assert not proxies.trusts("")


def test_peers_of_a_unix_socket_are_trusted_by_name() -> None:
    proxies = TrustedProxies(["unix"])
    assert proxies.trusts("")
    assert not proxies.trusts(("127.0.0.1", 1))


@pytest.mark.parametrize("entry", ["localhost", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_an_entry_that_is_not_an_address_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        TrustedProxies([entry])


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:5000", ("192.0.2.1", 5000)),
        ("203.0.113.9, 192.0.2.1", ("192.0.2.1", 0)),
        ("203.0.113.9, 192.0.2.1, 10.0.0.2", ("192.0.2.1", 0)),
        ("203.0.113.9, 192.0.2.1, 10.0.0.2, [2001:db8::5]:80", ("192.0.2.1", 0)),
        ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ("2001:db9::1", ("2001:db9::1", 0)),
        ("192.0.2.1, unknown", PROXY),
        ("192.0.2.1, garbage!, 10.0.0.2", ("10.0.0.2", 0)),
        ("192.0.2.1, fe80::1%eth0", PROXY),
        ("192.0.2.1, [2001:db8::7%a b], 10.0.0.2", ("10.0.0.2", 0)),
        ("192.0.2.1, [2001:db8::7, 10.0.0.2", ("10.0.0.2", 0)),
        ("192.0.2.1, [2001:db8::7]x, 10.0.0.2", ("10.0.0.2", 0)),
        ("", PROXY),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_not_a_proxys(chain: str, client) -> None:
    assert resolve(f"X-Forwarded-For: {chain}").client == client
    nodes = [node.strip() for node in chain.split(",") if node]
    forwarded = ", ".join(f'for="{node}"' for node in nodes)
    assert resolve(f"Forwarded: {forwarded}").client == client


def test_lines_of_one_name_are_one_chain() -> None:
    assert resolve("X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.1").client == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        (["X-Forwarded-Proto: https"], "https"),
        (["X-Forwarded-Proto: WSS"], "https"),
        (["X-Forwarded-Proto: http"], "http"),
        (["X-Forwarded-Proto: gopher"], None),
        (["X-Forwarded-For: 192.0.2.1"], None),
        (["X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto: http, https, http"], "https"),
        (["X-Forwarded-For: 192.0.2.1, 10.0.0.2, 10.0.0.3", "X-Forwarded-Proto: http, https"], "https"),
        (["Forwarded: for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"], "https"),
    ],
)
def test_the_scheme_is_the_one_the_outermost_proxy_saw(lines: list[str], scheme: str | None) -> None:
    assert resolve(*lines).scheme == scheme


CLIENT = ("192.0.2.1", 0)
AS_SENT = {
    "nginx, $proxy_add_x_forwarded_for": (
        [
            "X-Forwarded-For: 203.0.113.9, 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
        ],
        CLIENT,
    ),
    "nginx, listening on a Unix-domain socket": (
        [
            "X-Forwarded-For: 203.0.113.9, unix:",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
        ],
        PROXY,
    ),
    "HAProxy, option forwardfor: a line of its own": (
        [
            "X-Forwarded-For: 203.0.113.9",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
            "X-Forwarded-For: 192.0.2.1",
        ],
        CLIENT,
    ),
    "HAProxy, option forwarded": (
        ['Forwarded: proto=https;host="www.example.org";by="10.0.0.1:443";for="192.0.2.1:33333"'],
        ("192.0.2.1", 33333),
    ),
    "HAProxy, option forwarded, IPv6": (
        ['Forwarded: for=203.0.113.9, proto=https;host="www.example.org";for="[2001:db9::1]:33333"'],
        ("2001:db9::1", 33333),
    ),
    "AWS ALB": (
        [
            "X-Forwarded-Port: 443",
            "X-Forwarded-For: 203.0.113.9, 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
        ],
        CLIENT,
    ),
    "AWS ALB, client port preserved, IPv6": (
        [
            "X-Forwarded-For: [2001:db9::1]:33333",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
        ],
        ("2001:db9::1", 33333),
    ),
    "Cloudflare, before a proxy of one's own": (
        [
            "CF-Connecting-IP: 192.0.2.1",
            'CF-Visitor: {"scheme":"https"}',
            "X-Forwarded-For: 192.0.2.1,10.9.9.9",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
        ],
        CLIENT,
    ),
    "Traefik, a WebSocket": (
        [
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Host: www.example.org",
            "X-Forwarded-Proto: wss",
            "X-Forwarded-Port: 443",
            "X-Forwarded-Server: traefik",
            "X-Real-Ip: 192.0.2.1",
        ],
        CLIENT,
    ),
    "Envoy, no space behind the commas": (
        [
            "x-forwarded-for: 203.0.113.9,192.0.2.1,10.0.0.2",
            "x-forwarded-proto: https",
            "x-forwarded-host: www.example.org",
            "x-envoy-external-address: 192.0.2.1",
        ],
        CLIENT,
    ),
    "Azure Application Gateway, with the client's port": (
        [
            "X-Forwarded-For: 203.0.113.9, 192.0.2.1:51234",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
            "X-Forwarded-Port: 443",
            "X-Original-Host: www.example.org",
        ],
        ("192.0.2.1", 51234),
    ),
    "Google Cloud, with the balancer's own address": (
        [
            "X-Forwarded-For: 203.0.113.9,192.0.2.1,10.1.2.3",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example.org",
            "Via: 1.1 google",
        ],
        CLIENT,
    ),
    "Apache mod_proxy, in a chain": (
        [
            "X-Forwarded-For: 192.0.2.1, 10.0.0.3",
            "X-Forwarded-Host: www.example.org, inner.example.org",
            "X-Forwarded-Proto: https, http",
            "X-Forwarded-Server: outer.example.org, inner.example.org",
        ],
        CLIENT,
    ),
}


@pytest.mark.parametrize("proxy", AS_SENT)
def test_the_fields_are_understood_as_proxies_send_them(proxy: str) -> None:
    lines, client = AS_SENT[proxy]
    seen = resolve(*lines)
    assert (seen.client, seen.scheme, seen.head.field("Host")) == (client, "https", "www.example.org")


def test_the_forwarded_host_replaces_the_host() -> None:
    for line in ("X-Forwarded-Host: www.example.org:8443", 'Forwarded: host="www.example.org:8443"'):
        head = resolve(line).head
        assert head.field("Host") == "www.example.org:8443"
    assert resolve("X-Forwarded-For: 192.0.2.1").head.field("Host") == "own"


@pytest.mark.parametrize(
    ("lines", "port", "host"),
    [
        (["X-Forwarded-Port: 8443"], "8443", "own:8443"),
        (["X-Forwarded-Port: 8443", "X-Forwarded-Proto: https"], "8443", "own:8443"),
        (["X-Forwarded-Port: 443", "X-Forwarded-Proto: https"], "443", "own"),
        (["X-Forwarded-Port: 80", "X-Forwarded-Proto: http"], "80", "own"),
        (["X-Forwarded-Port: 80", "X-Forwarded-Proto: https"], "80", "own:80"),
        (["X-Forwarded-Port: 443"], "443", "own"),
        (["X-Forwarded-Port: 08443"], "8443", "own:8443"),
        (["X-Forwarded-Port: 8443", "X-Forwarded-Host: www.example.org"], "8443", "www.example.org:8443"),
        (["X-Forwarded-Port: 8443", "X-Forwarded-Host: www.example.org:"], "8443", "www.example.org:8443"),
        (["X-Forwarded-Port: 8443", "X-Forwarded-Host: [2001:db8::1]"], "8443", "[2001:db8::1]:8443"),
        (["X-Forwarded-Port: 8443", "X-Forwarded-Host: www.example.org:444"], "8443", "www.example.org:444"),
        (["X-Forwarded-Port: 8443", "Forwarded: host=www.example.org"], "8443", "www.example.org:8443"),
        (["X-Forwarded-Port: 8443, 80", "X-Forwarded-For: 192.0.2.1, 10.0.0.2"], "8443", "own:8443"),
        (["X-Forwarded-Port: 1, 8443", "X-Forwarded-For: 203.0.113.9, 192.0.2.1"], "8443", "own:8443"),
        (["X-Forwarded-Port: 1", "X-Forwarded-Port: 8443"], "8443", "own:8443"),
        (["X-Forwarded-Port:"], None, "own"),
    ],
)
def test_the_forwarded_port_is_that_of_the_server_and_of_a_host_without_one(
    lines: list[str], port: str | None, host: str
) -> None:
    seen = resolve(*lines)
    assert (seen.port, seen.head.field("Host")) == (port, host)
    assert seen.environ.get("SERVER_PORT") == port


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "+1", "443;", "4 43", "\u00b2", "[443]"])
def test_a_malformed_forwarded_port_is_refused(port: str) -> None:
    with pytest.raises(HTTPError) as caught:
        resolve(f"X-Forwarded-Port: {port}")
    assert caught.value.status == 400


def test_a_forwarded_port_gives_no_host_to_a_request_without_one() -> None:
    head = head_of(b"GET / HTTP/1.0\r\nX-Forwarded-Port: 8443\r\n\r\n")
    seen = PROXIES.resolve(head, PROXY)
    assert (seen.port, seen.head.field("Host")) == ("8443", None)


@pytest.mark.parametrize("host", ["a/b", "a b", "u@a", "[::g]"])
def test_a_malformed_forwarded_host_is_refused(host: str) -> None:
    with pytest.raises(HTTPError) as caught:
        resolve(f"X-Forwarded-Host: {host}")
    assert caught.value.status == 400


def test_both_kinds_of_fields_may_say_the_same() -> None:
    seen = resolve(
        "X-Forwarded-For: 192.0.2.1", 'Forwarded: for="192.0.2.1:80";proto=https', "X-Forwarded-Proto: https"
    )
    assert seen.client == ("192.0.2.1", 0)
    assert seen.scheme == "https"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X-Forwarded-For: 192.0.2.1", "Forwarded: for=203.0.113.9"),
        ("X-Forwarded-Proto: http", "Forwarded: proto=https"),
        ("X-Forwarded-Host: a", "Forwarded: host=b"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(one: str, other: str) -> None:
    with pytest.raises(HTTPError) as caught:
        resolve(one, other)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" , ,", []),
        (
            'for="_gazonk"; by=203.0.113.43 ;PROTO=http',
            [{"for": "_gazonk", "by": "203.0.113.43", "proto": "http"}],
        ),
        ('For="[2001:db8::17]:47", for=unknown', [{"for": "[2001:db8::17]:47"}, {"for": "unknown"}]),
        (r'for="a\"b,c;d"', [{"for": 'a"b,c;d'}]),
        ("for=a;", [{"for": "a"}]),
        (";for=a", [{"for": "a"}]),
        ("for=a; ;;proto=http,", [{"for": "a", "proto": "http"}]),
        ("for=a, ;", [{"for": "a"}, {}]),
    ],
)
def test_forwarded_is_split_into_its_elements(text: str, elements: list[dict[str, str]]) -> None:
    assert parse_forwarded(text) == elements


@pytest.mark.parametrize(
    "text",
    [
        "for",
        "for=",
        'for="a',
        "for=a;For=b",
        "for=a b",
        "for=a:1",
        '"',
        "for = a",
        "=a",
        'for="a"b',
        'for=""b"',
    ],
)
def test_a_malformed_forwarded_is_refused(text: str) -> None:
    with pytest.raises(HTTPError) as caught:
        parse_forwarded(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("192.0.2.1:70000000", ("192.0.2.1", 0)),
        ("192.0.2.1:_port", ("192.0.2.1", 0)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("192.0.2.1:65536", ("192.0.2.1", 0)),
        ("192.0.2.1:", ("192.0.2.1", 0)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[192.0.2.1]:80", ("192.0.2.1", 80)),
        ("_hidden", None),
        ("unix:", None),
        ("", None),
        ("[]", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]80", None),
        ("[2001:db8::1]:80]", ("2001:db8::1", 0)),
        ("2001:db8::1]:80", None),
        ("fe80::1%eth0", None),
        ("fe80::1%x y", None),
        ("[fe80::1%\n]:80", None),
        ("192.0.2.1.5", None),
    ],
)
def test_a_node_is_an_address_with_or_without_a_port(text: str, node) -> None:
    assert parse_node(text) == node
