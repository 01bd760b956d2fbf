"""Tokens as PyJWT makes them, and as somebody would who wants in without one."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.centrifuge.tokens import (
    MAX_SIZE,
    ConnectionToken,
    ServerSubscription,
    SubscriptionToken,
    Token,
    TokenExpired,
    TokenInvalid,
    Tokens,
)
from tests.centrifuge.token_keys import LONG_SECRET, SECRET, by_hand, pair, part

pytestmark = pytest.mark.readable

TOKENS = Tokens(SECRET)
PUBLIC = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
NOW = int(time.time())
DAY = 86400


@pytest.fixture(autouse=True, scope="module")
def now() -> None:
    """Set ``NOW`` to when these tests begin: minutes may have passed since they were collected."""
    globals()["NOW"] = int(time.time())


def signed(algorithm: str = "HS256", key: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"sub": "42", **claims}, key, algorithm)


def problem_of(token: Any, tokens: Tokens = TOKENS) -> str:
    """Return what is wrong with a token for a connection."""
    with pytest.raises(TokenInvalid) as caught:
        tokens.connection(token)
    assert (caught.value.code, caught.value.reason) == (3500, "invalid token")
    return caught.value.problem


class TestWhatTokensSay:
    def test_of_a_connection(self) -> None:
        token = signed(
            exp=NOW + 60,
            iat=NOW - 1,
            nbf=NOW - 1,
            jti="7",
            info={"name": "Ann"},
            meta={"plan": "free"},
            channels=["news", "chat:1"],
            subs={"chat:1": {"info": 1, "data": [2]}},
        )
        assert TOKENS.connection(token) == ConnectionToken(
            user="42",
            info={"name": "Ann"},
            expires_at=NOW + 60,
            issued_at=NOW - 1,
            id="7",
            subs={"news": ServerSubscription(), "chat:1": ServerSubscription(1, [2])},
            meta={"plan": "free"},
        )

    def test_of_a_subscription(self) -> None:
        token = signed(channel="$chat:1", info={"role": "owner"}, exp=NOW + 60)
        assert TOKENS.subscription(token, "42", "$chat:1") == SubscriptionToken(
            user="42", channel="$chat:1", info={"role": "owner"}, expires_at=NOW + 60
        )

    def test_a_token_may_be_for_somebody_without_a_name(self) -> None:
        assert TOKENS.connection(signed(sub="")).user == ""

    @pytest.mark.parametrize(
        ("expire_at", "expires_at"), [(0, None), (NOW + DAY, NOW + DAY)], ids=["never", "later"]
    )
    def test_expire_at_counts_instead_of_exp(self, expire_at: int, expires_at: float | None) -> None:
        token = signed(exp=NOW + 60, expire_at=expire_at)
        assert TOKENS.connection(token).expires_at == expires_at

    def test_a_token_without_exp_does_not_expire(self) -> None:
        assert TOKENS.connection(signed()).expires_at is None


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    def test_secrets_are_for_hmac(self, algorithm: str) -> None:
        assert Tokens(LONG_SECRET).connection(signed(algorithm, LONG_SECRET)).user == "42"

    @pytest.mark.parametrize("algorithm", PUBLIC)
    def test_public_keys_are_for_the_others(self, algorithm: str) -> None:
        private, public = pair(algorithm)
        assert Tokens(public_key=public).connection(signed(algorithm, private)).user == "42"

    def test_all_of_several_keys_are_tried(self) -> None:
        old, new = SECRET, SECRET[::-1]
        tokens = Tokens([new, old], public_key=[pair("ES256")[1], pair("RS256")[1]])
        for key, algorithm in ((old, "HS256"), (new, "HS256"), (pair("RS256")[0], "RS384")):
            assert tokens.connection(signed(algorithm, key)).user == "42"
        assert "Signature" in problem_of(signed(key="z" * 32), tokens)

    def test_a_token_made_by_hand_is_like_any_other(self) -> None:
        assert TOKENS.connection(by_hand({"sub": "42"})).user == "42"


class TestForgeries:
    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 1, ["HS256"]])
    def test_without_a_signature(self, algorithm: Any) -> None:
        head, body = part({"alg": algorithm, "typ": "JWT"}), part({"sub": "42"})
        problem_of(f"{head}.{body}.")
        problem_of(f"{head}.{body}.{part(b'x')}")
        problem_of(by_hand({"sub": "42"}, {"alg": algorithm}))

    def test_without_an_algorithm(self) -> None:
        problem_of(by_hand({"sub": "42"}, {"typ": "JWT"}))

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    @pytest.mark.parametrize("has_secret", [False, True])
    def test_the_public_key_as_a_secret(self, algorithm: str, has_secret: bool) -> None:
        public = pair(algorithm)[1]
        tokens = Tokens(SECRET if has_secret else None, public_key=public)
        for secret in (public.encode(), public.strip().encode()):
            problem_of(by_hand({"sub": "42"}, secret=secret), tokens)
            problem_of(by_hand({"sub": "42"}, {"alg": algorithm}, secret), tokens)

    def test_a_key_of_the_forger_in_the_header(self) -> None:
        private, public = pair("ES384")
        head = {
            "jwk": {"kty": "EC"},
            "jku": "http://127.0.0.1:1/",
            "x5u": "http://127.0.0.1:1/",
            "kid": public,
        }
        problem_of(
            jwt.encode({"sub": "42"}, private, "ES384", headers=head), Tokens(public_key=pair("ES256")[1])
        )

    def test_another_secret_and_a_changed_claim(self) -> None:
        assert "Signature" in problem_of(by_hand({"sub": "42"}, secret=b"x" * 32))
        head, _, signature = signed().split(".")
        assert "Signature" in problem_of(f"{head}.{part({'sub': '1'})}.{signature}")

    def test_an_algorithm_that_the_secret_is_too_short_for(self) -> None:
        with pytest.warns(Warning, match="below the minimum"):
            token = signed("HS512")
        assert "none of the keys" in problem_of(token)

    def test_an_extension_that_must_be_understood(self) -> None:
        problem_of(by_hand({"sub": "42"}, {"alg": "HS256", "crit": ["exp"]}))
        problem_of(by_hand({"sub": "42"}, {"alg": "HS256", "b64": False, "crit": ["b64"]}))

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            "ä.ö.ü",
            "\ud800",
            "x" * (MAX_SIZE + 1),
            None,
            b"a.b.c",
            part(b"[" * 8000) + ".e30.e30",
            by_hand([]),
            by_hand("42"),
            by_hand(b"\xff"),
            by_hand(b"[" * 8000),
        ],
        ids=lambda token: repr(token)[:12],
    )
    def test_what_is_no_token(self, token: Any) -> None:
        problem_of(token)

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        problem_of(text)

    @given(st.integers(0, 200), st.characters(codec="ascii"))
    def test_a_token_with_another_character_somewhere(self, place: int, character: str) -> None:
        token = by_hand({"sub": "42"})
        place %= len(token) - 1  # the last character has bits that mean nothing
        if token[place] != character:
            problem_of(token[:place] + character + token[place + 1 :])


class TestClaims:
    def test_an_expired_token_is_told_apart(self) -> None:
        with pytest.raises(TokenExpired) as caught:
            TOKENS.connection(signed(exp=NOW - 10))
        assert caught.value.error.code == 109
        with pytest.raises(TokenExpired):
            TOKENS.subscription(signed(exp=NOW - 10, channel="x"), "42", "x")

    def test_an_expired_token_with_a_wrong_signature_is_invalid(self) -> None:
        assert "Signature" in problem_of(signed(key="x" * 32, exp=NOW - 10))

    def test_clocks_may_differ_by_the_leeway(self) -> None:
        early, late = signed(nbf=NOW + 50), signed(exp=NOW - 50)
        tokens = Tokens(SECRET, leeway=1000)
        assert tokens.connection(early).user == tokens.connection(late).user == "42"

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_a_token_of_the_future_is_invalid(self, claim: str) -> None:
        assert "not yet valid" in problem_of(by_hand({"sub": "42", claim: NOW + 1000}))

    @pytest.mark.parametrize("audience", ["live", ["other", "live"]])
    def test_the_audience_must_be_this_service(self, audience: Any) -> None:
        tokens = Tokens(SECRET, audience="live")
        assert tokens.connection(signed(aud=audience)).user == "42"
        for token in (signed(), signed(aud="Live"), signed(aud=["other"]), by_hand({"sub": "42", "aud": 1})):
            problem_of(token, tokens)

    def test_without_an_audience_it_is_not_checked(self) -> None:
        assert TOKENS.connection(signed(aud="other", iss="other")).user == "42"

    def test_the_issuer_must_be_the_one_given(self) -> None:
        tokens = Tokens(SECRET, issuer="shop")
        assert tokens.connection(signed(iss="shop")).user == "42"
        for token in (signed(), signed(iss="shop2"), by_hand({"sub": "42", "iss": ["shop"]})):
            problem_of(token, tokens)

    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "expire_at"])
    @pytest.mark.parametrize("value", ["soon", [], {}, 1e400, float("nan")])
    def test_a_time_is_a_number(self, claim: str, value: Any) -> None:
        problem_of(by_hand({"sub": "42", claim: value}))

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"sub": 42},
            {"sub": None},
            {"sub": "42", "jti": 1},
            {"sub": "42", "meta": []},
            {"sub": "42", "channels": "news"},
            {"sub": "42", "channels": [1]},
            {"sub": "42", "subs": ["news"]},
            {"sub": "42", "subs": {"news": 1}},
        ],
    )
    def test_a_claim_of_another_type_is_invalid(self, claims: dict[str, Any]) -> None:
        problem_of(by_hand(claims))


class TestPurposes:
    def test_a_token_for_a_subscription_is_none_for_a_connection(self) -> None:
        assert "for a subscription" in problem_of(signed(channel="news"))

    @pytest.mark.parametrize(
        ("claims", "problem"),
        [
            ({}, "not for this channel"),
            ({"channel": "News"}, "not for this channel"),
            ({"channel": ["news"]}, "not for this channel"),
            ({"channel": "news", "sub": "43"}, "not for this user"),
            ({"channel": "news", "sub": ""}, "not for this user"),
        ],
    )
    def test_a_subscription_is_for_one_user_and_one_channel(
        self, claims: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(TokenInvalid) as caught:
            TOKENS.subscription(signed(**claims), "42", "news")
        assert problem in caught.value.problem

    def test_a_subscription_without_a_user_is_for_those_without_a_name(self) -> None:
        token = by_hand({"channel": "news"})
        assert TOKENS.subscription(token, "", "news").user == ""


class TestRevocation:
    def test_tokens_of_a_user_from_before_a_time_are_refused(self) -> None:
        def revoked(token: Token) -> bool:
            return token.user == "42" and (token.issued_at is None or token.issued_at < NOW)

        tokens = Tokens(SECRET, revoked=revoked)
        assert tokens.connection(signed(iat=NOW)).issued_at == NOW
        assert tokens.connection(signed(sub="43")).user == "43"
        for token in (signed(), signed(iat=NOW - 1)):
            assert problem_of(token, tokens) == "it has been revoked"
        with pytest.raises(TokenInvalid):
            tokens.subscription(signed(iat=NOW - 1, channel="news"), "42", "news")

    def test_nobody_gets_in_when_it_cannot_be_found_out(self) -> None:
        def revoked(token: Token) -> bool:
            raise ConnectionError("the database is away")

        with pytest.raises(ConnectionError):
            Tokens(SECRET, revoked=revoked).connection(signed())
