"""Parsing ``Sec-WebSocket-Extensions`` (RFC 6455, section 9.1)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol.extension_list import parse_extensions
from tests.cost import linear_time
from tests.protocol.extension_lines import MALFORMED


@pytest.mark.parametrize(
    ("lines", "offers"),
    [
        ([], []),
        ([""], []),
        ([" ,\t,", ""], []),
        (["foo"], [("foo", [])]),
        (["foo,,"], [("foo", [])]),
        ([", foo , ,bar"], [("foo", []), ("bar", [])]),
        (["foo", "bar, foo"], [("foo", []), ("bar", []), ("foo", [])]),
        (["foo;a"], [("foo", [("a", None)])]),
        (["foo ;\ta ; b = 1 ,bar"], [("foo", [("a", None), ("b", "1")]), ("bar", [])]),
        (["foo;a=1;a"], [("foo", [("a", "1"), ("a", None)])]),
        (['foo;a="b"; c= "d\\e"'], [("foo", [("a", "b"), ("c", "de")])]),
        (["!#$%&'*+-.^_`|~09AZaz"], [("!#$%&'*+-.^_`|~09AZaz", [])]),
        (
            ["permessage-deflate; client_max_window_bits, deflate-frame;no_context_takeover"],
            [
                ("permessage-deflate", [("client_max_window_bits", None)]),
                ("deflate-frame", [("no_context_takeover", None)]),
            ],
        ),
    ],
)
def test_each_offer_has_its_name_and_parameters(lines, offers):
    assert parse_extensions(lines) == offers


@pytest.mark.parametrize("line", MALFORMED)
def test_what_breaks_the_grammar_is_an_error_that_names_the_place(line):
    with pytest.raises(ValueError, match=r"^at character \d+: "):
        parse_extensions([line])


TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=5)
SPACES = st.text(" \t", max_size=2)


@st.composite
def written(draw):
    """Draw offers, and a line that contains them, with arbitrary spaces, quotes and escapes."""
    offers, members = [], []
    for name in draw(st.lists(TOKENS, max_size=3)):
        parameters, text = [], name
        for parameter, value in draw(st.lists(st.tuples(TOKENS, st.none() | TOKENS), max_size=3)):
            parameters.append((parameter, value))
            text += f"{draw(SPACES)};{draw(SPACES)}{parameter}"
            if value is not None:
                if draw(st.booleans()):
                    value = '"' + "".join(draw(st.sampled_from(["", "\\"])) + each for each in value) + '"'
                text += f"{draw(SPACES)}={draw(SPACES)}{value}"
        offers.append((name, parameters))
        members.append(f"{draw(SPACES)}{text}{draw(SPACES)}")
    return offers, draw(st.sampled_from([",", ",,", ", ,"])).join(members)


@given(written())
def test_whatever_is_written_by_the_grammar_is_read(both):
    offers, line = both
    assert parse_extensions([line]) == offers


@given(st.text('a;,="\\ \t@', max_size=20))
def test_what_is_read_reads_the_same_when_it_is_written_plainly(line):
    with suppress(ValueError):
        offers = parse_extensions([line])
        plain = ", ".join(
            ";".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])
            for name, parameters in offers
        )
        assert parse_extensions([plain]) == offers


LARGEST_HEAD = 64 * 1024


@pytest.mark.parametrize(
    "piece",
    ["a;x,", '"', '\\"', '"\\', ",", ";", "a;", "=", '""', "a", " ", " ;", "a ", 'a;b="c', "a;b=c ", "\\a"],
)
@pytest.mark.parametrize("start", ["", "a;", 'a;b="', "a;b="])
def test_a_head_full_of_it_is_parsed_in_linear_time(start, piece):
    line = start + piece * (LARGEST_HEAD // len(piece))
    with linear_time():
        for whole in (line, line + "@"):
            with suppress(ValueError):
                parse_extensions([whole])
