"""The negotiation of permessage-deflate (RFC 7692, section 7.1)."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geventkws
from geventkws.protocol.extension_list import ExtensionOffer, parse_extensions
from geventkws.protocol.extensions import Agreement, PerMessageDeflate, negotiate_deflate
from tests.cost import linear_time

KEEPING = PerMessageDeflate(server_no_context_takeover=False, client_no_context_takeover=False)
"""Options that ask for nothing, so that an answer shows what the offer asked for."""


def agreed(*lines: str, options: bool | PerMessageDeflate = KEEPING) -> Agreement:
    agreement = negotiate_deflate(parse_extensions(lines), options)
    assert agreement is not None
    return agreement


def answer(*lines: str, options: bool | PerMessageDeflate = KEEPING) -> str:
    return agreed(*lines, options=options).answer


def is_declined(*lines: str, options: bool | PerMessageDeflate = KEEPING) -> bool:
    return negotiate_deflate(parse_extensions(lines), options) is None


# The options


def test_the_options_are_public():
    assert geventkws.PerMessageDeflate is PerMessageDeflate


def test_the_defaults_keep_no_context():
    assert PerMessageDeflate() == PerMessageDeflate(
        level=2,
        threshold=1024,
        server_max_window_bits=15,
        client_max_window_bits=15,
        server_no_context_takeover=True,
        client_no_context_takeover=True,
    )


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        KEEPING.level = 1  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("level", 1, 9),
        ("threshold", 0, 1 << 40),
        ("server_max_window_bits", 9, 15),
        ("client_max_window_bits", 8, 15),
    ],
)
def test_the_ends_of_an_options_range_are_in_it(name, least, most):
    assert getattr(PerMessageDeflate(**{name: least}), name) == least
    assert getattr(PerMessageDeflate(**{name: most}), name) == most


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [
        ("level", 0, "1 to 9"),
        ("level", 10, "1 to 9"),
        ("threshold", -1, "at least 0"),
        ("server_max_window_bits", 8, "9 to 15"),
        ("server_max_window_bits", 16, "9 to 15"),
        ("client_max_window_bits", 7, "8 to 15"),
        ("client_max_window_bits", 16, "8 to 15"),
    ],
)
def test_an_option_out_of_range_is_a_value_error(name, value, limits):
    with pytest.raises(ValueError, match=f"^PerMessageDeflate: {name} must be {limits}, not {value}$"):
        PerMessageDeflate(**{name: value})


@pytest.mark.parametrize("value", ["6", 6.0, None, True])
@pytest.mark.parametrize("name", ["level", "threshold", "server_max_window_bits", "client_max_window_bits"])
def test_a_number_that_is_not_an_int_is_a_type_error(name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name} must be an int, not {value!r}")):
        PerMessageDeflate(**{name: value})


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
@pytest.mark.parametrize("name", ["server_no_context_takeover", "client_no_context_takeover"])
def test_a_switch_that_is_not_a_bool_is_a_type_error(name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name} must be True or False, not {value!r}")):
        PerMessageDeflate(**{name: value})


# Whether it is negotiated at all


def test_a_service_without_compression_declines_all():
    assert is_declined("permessage-deflate", options=False)


@pytest.mark.parametrize("lines", [[], [""], [" , ,"], ["permessage-bzip2"], ["x-webkit-deflate-frame; a=1"]])
def test_nothing_is_agreed_without_an_offer(lines):
    assert is_declined(*lines)


def test_true_is_the_defaults():
    agreement = agreed("permessage-deflate; client_max_window_bits", options=True)
    assert agreement == agreed("permessage-deflate; client_max_window_bits", options=PerMessageDeflate())
    assert agreement.compression == PerMessageDeflate()
    assert agreement.answer == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def test_the_level_and_the_threshold_are_the_services():
    options = PerMessageDeflate(level=9, threshold=7)
    assert agreed("permessage-deflate", options=options).compression == options


# Context takeover (7.1.1)


def test_a_bare_offer_is_answered_by_a_bare_name():
    assert agreed("permessage-deflate") == (KEEPING, "permessage-deflate")


@pytest.mark.parametrize("name", ["server_no_context_takeover", "client_no_context_takeover"])
def test_doing_without_context_is_agreed_if_either_side_wants_it(name):
    offer, bare = f"permessage-deflate; {name}", "permessage-deflate"
    options = replace(KEEPING, **{name: True})
    assert (
        agreed(offer) == agreed(bare, options=options) == agreed(offer, options=options) == (options, offer)
    )


# Windows (7.1.2)


@pytest.mark.parametrize(
    ("offered", "option", "bits"), [(15, 15, 15), (9, 15, 9), (15, 9, 9), (12, 10, 10), (10, 12, 10)]
)
def test_the_servers_window_is_the_smaller_of_what_both_want(offered, option, bits):
    agreement = agreed(
        f"permessage-deflate; server_max_window_bits={offered}",
        options=replace(KEEPING, server_max_window_bits=option),
    )
    assert agreement.answer == f"permessage-deflate; server_max_window_bits={bits}"
    assert agreement.compression.server_max_window_bits == bits


def test_a_smaller_window_of_the_server_is_announced_unasked():
    options = replace(KEEPING, server_max_window_bits=11)
    assert answer("permessage-deflate", options=options) == "permessage-deflate; server_max_window_bits=11"


def test_a_window_of_8_bits_for_the_server_is_declined_since_zlib_has_none():
    assert is_declined("permessage-deflate; server_max_window_bits=8")
    assert answer("permessage-deflate; server_max_window_bits=8, permessage-deflate") == "permessage-deflate"


@pytest.mark.parametrize(
    ("offered", "option", "bits"),
    [("", 15, 15), ("", 10, 10), ("=15", 10, 10), ("=9", 10, 9), ("=8", 15, 8), ("=15", 15, 15)],
)
def test_the_clients_window_is_limited_if_it_offers_that(offered, option, bits):
    agreement = agreed(
        f"permessage-deflate; client_max_window_bits{offered}",
        options=replace(KEEPING, client_max_window_bits=option),
    )
    assert agreement.compression.client_max_window_bits == bits
    assert agreement.answer == "permessage-deflate" + (
        f"; client_max_window_bits={bits}" if bits < 15 else ""
    )


def test_the_clients_window_is_not_limited_if_it_does_not_offer_that():
    agreement = agreed("permessage-deflate", options=replace(KEEPING, client_max_window_bits=9))
    assert agreement == (KEEPING, "permessage-deflate")


def test_all_parameters_together():
    offer = (
        "permessage-deflate; client_max_window_bits=14; server_no_context_takeover;"
        "server_max_window_bits=13 ;\tclient_no_context_takeover"
    )
    assert answer(offer) == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
        " server_max_window_bits=13; client_max_window_bits=14"
    )


# Offers that are declined

UNACCEPTABLE = [
    "unknown",
    "unknown=1",
    "Server_No_Context_Takeover",
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    'client_no_context_takeover="1"',
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=010",
    'server_max_window_bits="010"',
    "server_max_window_bits=+10",
    "server_max_window_bits=-10",
    "server_max_window_bits=1e1",
    "server_max_window_bits=10.0",
    "server_max_window_bits=" + "9" * 5000,
    "server_max_window_bits='10'",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=09",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    'server_max_window_bits=10; server_max_window_bits="10"',
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits; client_max_window_bits=10",
]


@pytest.mark.parametrize("parameters", UNACCEPTABLE)
def test_an_offer_with_a_wrong_parameter_is_declined(parameters):
    assert is_declined(f"permessage-deflate; {parameters}")


@pytest.mark.parametrize("parameters", UNACCEPTABLE)
def test_the_offer_after_it_is_taken(parameters):
    second = "permessage-deflate; server_no_context_takeover"
    assert answer(f"permessage-deflate; {parameters}, {second}, permessage-deflate") == second
    assert answer(f"permessage-deflate; {parameters}", second, "permessage-deflate") == second


@pytest.mark.parametrize("name", ["Permessage-Deflate", "permessage-deflate2"])
def test_another_extension_is_not_taken_for_it(name):
    assert is_declined(name)


def test_other_extensions_are_passed_over():
    lines = ("foo; a=1; b", "", ' bar; x="a" ,, permessage-deflate , permessage-deflate; unknown')
    assert answer(*lines) == "permessage-deflate"


@pytest.mark.parametrize("value", ['"10"', '"1\\0"', " 10", '\t"10" '])
def test_a_value_in_quotes_or_after_a_space_is_the_same_value(value):
    assert (
        agreed(f"permessage-deflate; server_max_window_bits={value}").compression.server_max_window_bits == 10
    )
    assert (
        agreed(f"permessage-deflate; client_max_window_bits={value}").compression.client_max_window_bits == 10
    )


# Hostile ones


def test_a_head_full_of_offers_is_judged_in_linear_time():
    """Four times the longest head allowed by default; quadratic time would take minutes."""
    with linear_time():
        assert is_declined("permessage-deflate;x," * (1 << 14))


NAMES = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
]
PARAMETERS = st.tuples(
    st.sampled_from(NAMES) | st.text(max_size=3),
    st.none() | st.sampled_from(["", "8", "9", "15", "16"]) | st.text(max_size=3),
)


@given(
    offers=st.lists(
        st.builds(
            ExtensionOffer, st.sampled_from(["permessage-deflate", "other"]), st.lists(PARAMETERS, max_size=3)
        )
    ),
    options=st.sampled_from([KEEPING, PerMessageDeflate(), replace(KEEPING, client_max_window_bits=9)]),
)
def test_no_offer_raises_and_an_answer_is_one_that_the_client_can_take(offers, options):
    agreement = negotiate_deflate(offers, options)
    if agreement is None:
        return
    compression, answer = agreement
    assert 9 <= compression.server_max_window_bits <= options.server_max_window_bits
    assert 8 <= compression.client_max_window_bits <= 15
    name, *parameters = answer.split("; ")
    assert name == "permessage-deflate"
    assert len({parameter.partition("=")[0] for parameter in parameters}) == len(parameters)
    if "client_max_window_bits" in answer:
        assert any(name == "client_max_window_bits" for offer in offers for name, _ in offer.parameters)


@given(
    server_bits=st.none() | st.integers(9, 15),
    client_bits=st.none() | st.just("") | st.integers(8, 15).map("={}".format),
    takeover=st.lists(
        st.sampled_from(["server_no_context_takeover", "client_no_context_takeover"]), unique=True
    ),
    options=st.builds(
        PerMessageDeflate,
        server_max_window_bits=st.integers(9, 15),
        client_max_window_bits=st.integers(8, 15),
        server_no_context_takeover=st.booleans(),
        client_no_context_takeover=st.booleans(),
    ),
)
def test_every_well_formed_offer_is_accepted_within_its_limits(server_bits, client_bits, takeover, options):
    parameters = list(takeover)
    if server_bits is not None:
        parameters.append(f"server_max_window_bits={server_bits}")
    if client_bits is not None:
        parameters.append(f"client_max_window_bits{client_bits}")
    compression, answer = agreed("; ".join(["permessage-deflate", *parameters]), options=options)
    assert compression.server_max_window_bits == min(server_bits or 15, options.server_max_window_bits)
    assert all(each in answer and getattr(compression, each) for each in takeover)
    assert (server_bits is None) or f"server_max_window_bits={compression.server_max_window_bits}" in answer
    limit = 15 if client_bits is None else min(int(client_bits[1:] or 15), options.client_max_window_bits)
    assert compression.client_max_window_bits == limit
