"""Tokens, and comma-separated lists of them (RFC 9110, section 5.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cost import linear_time
from tests.helpers import forms

FORMS = forms("geventkws.protocol.tokens")
LATIN1 = st.text(st.characters(max_codepoint=0xFF))


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """The readable form of the module, or the compiled one."""
    return FORMS[request.param]


@pytest.mark.parametrize(
    ("values", "members"),
    [
        ([], []),
        ([""], []),
        (["Upgrade"], ["upgrade"]),
        (["keep-alive, Upgrade"], ["keep-alive", "upgrade"]),
        (["keep-alive ,\tUpgrade\t"], ["keep-alive", "upgrade"]),
        (["keep-alive", "UPGRADE"], ["keep-alive", "upgrade"]),
        ([",, a ,,b, ,"], ["a", "b"]),
        (["a b"], ["a b"]),
        (["\xa0upgrade"], ["\xa0upgrade"]),
        (["\x0bupgrade"], ["\x0bupgrade"]),
    ],
)
def test_tokens_are_the_members_of_all_lines_in_lower_case(form, values, members):
    assert form.tokens(values) == members


def test_list_members_keep_their_case(form):
    assert form.list_members(["Chat, superChat", "chat"]) == ["Chat", "superChat", "chat"]


@pytest.mark.parametrize("text", ["a", "chat.example.com", "!#$%&'*+-.^_`|~09azAZ"])
def test_a_token_is_a_token(form, text):
    assert form.is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a/b", 'a"', "a\n", "\n", "é", "a,b", "\x7f", "(a)", "１"])
def test_anything_else_is_not_a_token(form, text):
    assert not form.is_token(text)


@given(st.lists(LATIN1))
def test_members_of_a_list_are_never_empty_and_hold_no_comma(form, values):
    for member in form.list_members(values):
        assert member
        assert "," not in member
        assert member == member.strip(" \t")


@pytest.mark.parametrize("value", ["," * 2**20, " " * 2**20, ", " * 2**19, "a," * 2**19])
def test_a_list_of_a_megabyte_is_read_in_linear_time(form, value):
    with linear_time():
        assert len(form.tokens([value])) in (0, 2**19)
