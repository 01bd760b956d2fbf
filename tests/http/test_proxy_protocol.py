"""The headers of the PROXY protocol, byte for byte."""

from __future__ import annotations

import pytest

from geventkws.http.proxy_protocol import SIGNATURE, ProxiedAddress, ProxyProtocolError, missing, parse
from tests.http.memory import MemoryTransport

BEHIND = b"GET / HTTP/1.1\r\n\r\n"


class Wire(MemoryTransport):
    """Like a socket, returns at most the bytes asked for, and at most ``most`` bytes at once."""

    def __init__(self, data: bytes, most: int = 65536) -> None:
        super().__init__()
        self.data = data
        self.most = most

    def recv(self, size: int) -> bytes | None:
        size = min(size, self.most)
        data, self.data = self.data[:size], self.data[size:]
        return data


def receive(wire: Wire) -> ProxiedAddress | None:
    """Read a header as a connection does: never more bytes than may still be missing."""
    data = b""
    while left := missing(data):
        received = wire.recv(left)
        if not received:
            raise ProxyProtocolError("the connection ended within its PROXY header")
        data += received
    return parse(data)


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2, "big") + body


IPV4 = bytes((192, 0, 2, 1, 10, 0, 0, 1)) + (5000).to_bytes(2, "big") + (80).to_bytes(2, "big")
IPV6 = bytes.fromhex("20010db8000000000000000000000001" * 2) + b"\x13\x88\x00\x50"
MAPPED = bytes.fromhex("00000000000000000000ffffc0000201" * 2) + b"\x13\x88\x00\x50"

HEADERS = {
    "TCP4": (b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n", ("192.0.2.1", 5000)),
    "TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n", ("2001:db8::1", 5000)),
    "TCP6 of IPv4": (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5000 80\r\n", ("192.0.2.1", 5000)),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "UNKNOWN with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "version 2, IPv4": (v2(0x21, 0x11, IPV4), ("192.0.2.1", 5000)),
    "version 2, IPv6": (v2(0x21, 0x21, IPV6), ("2001:db8::1", 5000)),
    "version 2, IPv6 of IPv4": (v2(0x21, 0x21, MAPPED), ("192.0.2.1", 5000)),
    "version 2 with extensions": (v2(0x21, 0x11, IPV4 + b"\x03\x00\x04abcd"), ("192.0.2.1", 5000)),
    "version 2, local": (v2(0x20, 0x00, b""), None),
    "version 2, unspecified": (v2(0x21, 0x00, b"abc"), None),
    "version 2, Unix": (v2(0x21, 0x31, bytes(216)), None),
}


@pytest.mark.parametrize("case", HEADERS)
@pytest.mark.parametrize("most", [1, 7, 65536])
def test_a_header_is_read_to_its_last_byte_and_no_further(case: str, most: int) -> None:
    header, address = HEADERS[case]
    wire = Wire(header + BEHIND, most)
    assert receive(wire) == address
    assert wire.data == BEHIND


MALFORMED = {
    "no header": BEHIND,
    "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00",
    "another case": b"proxy TCP4 192.0.2.1 10.0.0.1 5000 80\r\n",
    "no end": b"PROXY TCP4 " + b"1" * 200,
    "bare LF": b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\n" + BEHIND * 6,
    "IPv6 as TCP4": b"PROXY TCP4 ::1 ::1 5000 80\r\n",
    "a scope": b"PROXY TCP6 fe80::1%eth0 ::1 5000 80\r\n",
    "a scope of the destination": b"PROXY TCP6 ::1 fe80::1%eth0 5000 80\r\n",
    "a line feed for a scope": b"PROXY TCP6 fe80::1%\nCRITICAL:x ::1 5000 80\r\n",
    "a word too few": b"PROXY TCP4 192.0.2.1 10.0.0.1 5000\r\n",
    "a word too many": b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80 1\r\n",
    "another family": b"PROXY UDP4 192.0.2.1 10.0.0.1 5000 80\r\n",
    "a port beyond 65535": b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
    "a port that is no number": b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 80\r\n",
    "no ASCII": b"PROXY TCP4 \xff 10.0.0.1 5000 80\r\n",
    "version 3": v2(0x31, 0x11, IPV4),
    "an unknown command": v2(0x22, 0x11, IPV4),
    "too short for its addresses": v2(0x21, 0x11, IPV4[:-1]),
    "endless": v2(0x21, 0x11, IPV4, 65535),
    "cut off": v2(0x21, 0x11, IPV4)[:-1],
    "nothing": b"",
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("most", [1, 65536])
def test_a_connection_without_a_proper_header_is_refused(case: str, most: int) -> None:
    with pytest.raises(ProxyProtocolError):
        receive(Wire(MALFORMED[case], most))


def test_a_header_can_be_parsed_when_nothing_is_missing() -> None:
    for header, address in HEADERS.values():
        assert missing(header) == 0
        assert missing(header[:-1]) == 1
        assert parse(header) == address
