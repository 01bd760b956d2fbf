"""Addresses of peers: what is one, and how a log spells it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from geventkws.net.address import Address, parse_ip, spelled, unmapped


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", IPv4Address("192.0.2.1")),
        ("2001:db8::1", IPv6Address("2001:db8::1")),
        ("::ffff:192.0.2.1", IPv4Address("192.0.2.1")),
    ],
)
def test_an_address_is_read_and_a_mapped_one_becomes_ipv4(text, address):
    assert parse_ip(text) == address


@pytest.mark.parametrize(
    "text", ["", "example.com", "192.0.2.1:80", "192.0.2.01", "[::1]", "fe80::1%eth0", "fe80::1%", "1"]
)
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"address|scope"):
        parse_ip(text)


def test_an_address_of_another_kind_than_asked_for_is_a_value_error():
    with pytest.raises(ValueError, match="::1"):
        parse_ip("::1", IPv4Address)


def test_only_mapped_addresses_are_changed():
    for address in (IPv4Address("192.0.2.1"), IPv6Address("::1")):
        assert unmapped(address) is address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("::1", 80), "[::1]:80"),
        ("/run/client.sock", "/run/client.sock"),
        ("", "a Unix socket"),
    ],
)
def test_host_and_port_can_be_told_apart_in_a_log(address: Address, text: str) -> None:
    assert spelled(address) == text
