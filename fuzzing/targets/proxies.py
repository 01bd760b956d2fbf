"""What proxies say in fields and in the PROXY protocol: an address, or a refusal."""

from __future__ import annotations

from fuzzing.inputs import Input
from geventkws.http.errors import HTTPError
from geventkws.http.forwarded import TrustedProxies, parse_node
from geventkws.http.head import RequestHead
from geventkws.http.proxy_protocol import SIGNATURE, ProxyProtocolError, missing, parse
from geventkws.net.address import parse_ip

TRUSTED = TrustedProxies(["10.0.0.0/8", "::1", "unix"])
NAMES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Host")


SEEDS = (
    b'\0\0\0for=192.0.2.43, for="[2001:db8::17]:4711";proto=https;host=example.org',
    b"\0\0\1" + b"203.0.113.7:50000, 10.0.0.2",
    b"\1PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
    b"\1" + SIGNATURE + bytes.fromhex("2111000cc0000201c0000202dc0401bb"),
)


def forwarded(given: Input) -> None:
    """Resolve a request with some of these fields."""
    fields = []
    while given.choose([False, True]):
        name, size = given.choose(NAMES), given.choose(range(64))
        fields.append((name, bytes(given.choose(range(256)) for _ in range(size)).decode("latin-1")))
    fields.append((given.choose(NAMES), given.rest().decode("latin-1")))
    for _name, value in fields:
        parse_node(value)
    try:
        said = TRUSTED.resolve(RequestHead("GET", "/", "1.1", tuple(fields)), ("10.0.0.1", 80))
    except HTTPError as error:
        if error.status != 400:
            raise
        return
    assert isinstance(said.client, tuple)
    parse_ip(said.client[0])
    assert all(isinstance(value, str) for value in said.environ.values())


def proxy_protocol(data: bytes) -> None:
    """Read a header as the server does: as many bytes as are missing, no more."""
    header = b""
    try:
        while count := missing(header):
            if len(header) + count > len(data):
                return
            header = data[: len(header) + count]
        client = parse(header)
    except ProxyProtocolError:
        return
    if client is not None:
        parse_ip(client.host)
        assert 0 <= client.port <= 65535


def one_input(data: bytes) -> None:
    """Try the fields, or the header."""
    given = Input(data)
    if given.choose([True, False]):
        forwarded(given)
    else:
        proxy_protocol(given.rest())
