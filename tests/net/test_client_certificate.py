"""Distinguished names as text (RFC 4514)."""

from __future__ import annotations

import pytest

from geventkws.net.client_certificate import distinguished_name


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), ""),
        (((("countryName", "CH"),), (("commonName", "Alice"),)), "CN=Alice,C=CH"),
        (((("commonName", "a"), ("emailAddress", "a@b")),), "CN=a+emailAddress=a@b"),
        (
            ((("organizationName", 'Sue, Grabbit; "and" <Runn>+\\'),),),
            r"O=Sue\, Grabbit\; \"and\" \<Runn\>\+\\",
        ),
        (((("commonName", " #x# "),),), r"CN=\ #x#\ "),
        (((("commonName", "#x"),),), r"CN=\#x"),
        (((("commonName", "Lučić=x"),),), "CN=Lučić=x"),
    ],
)
def test_each_part_has_its_short_name_and_special_characters_are_escaped(
    names: tuple[tuple[tuple[str, str], ...], ...], text: str
) -> None:
    assert distinguished_name(names) == text
