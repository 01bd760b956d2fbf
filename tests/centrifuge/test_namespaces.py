"""Which settings a channel has, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.centrifuge.namespaces import Namespace, Namespaces, Who, check_name, is_listed
from geventkws.centrifuge.protocol.errors import ClientError
from geventkws.pubsub import PubSub

pytestmark = pytest.mark.readable

CHAT = Namespace(
    presence=True,
    join_leave=True,
    history_size=10,
    may_subscribe="users",
    may_publish="subscribers",
    may_see_presence="subscribers",
    may_read_history="users",
)
INBOX = Namespace(user_limited=True, presence=True, may_publish="users", may_see_presence="everyone")
OPEN = Namespace(may_subscribe="everyone", may_publish="everyone")
NAMES = Namespaces({"chat": CHAT, "inbox": INBOX, "open": OPEN})


def code_of(check: Any, *arguments: object) -> int | None:
    """Return the code of the error that a check raises; ``None`` if it lets pass."""
    try:
        check(*arguments)
    except ClientError as error:
        return error.error.code
    return None


class TestSettings:
    def test_the_part_before_the_colon_chooses_the_namespace(self) -> None:
        assert NAMES.of("chat:lobby") is CHAT
        assert NAMES.of("chat:a:b") is CHAT
        assert NAMES.of("$chat:board") is CHAT

    def test_without_a_colon_it_is_the_default_one(self) -> None:
        default = Namespace(may_subscribe="users")
        assert Namespaces({"": default}).of("news") is default
        assert Namespaces().of("news") == Namespace()

    @pytest.mark.parametrize(
        "channel", ["other:x", "Chat:x", "CHAT:x", " chat:x", "$$chat:x", ":x", "$:x", "chat :x", "chаt:x"]
    )
    def test_another_spelling_is_another_namespace(self, channel: str) -> None:
        assert code_of(Namespaces({"": OPEN, "chat": CHAT}).of, channel) == 102

    @pytest.mark.parametrize("channel", ["chat%3Ax", "chat：x", "chat\u2236x"])
    def test_what_only_looks_like_a_colon_is_none(self, channel: str) -> None:
        assert NAMES.of(channel) == Namespace()

    @pytest.mark.parametrize("channel", ["", "x" * 256, "ä" * 128, "a\nb", "a\0", "\x7f", "a\x85", "\ud800"])
    def test_what_is_no_name_is_refused(self, channel: str) -> None:
        assert code_of(check_name, channel) == 107

    @pytest.mark.parametrize("channel", ["x" * 255, "ä" * 127, "a b", "🙂"])
    def test_names_are_up_to_255_bytes_of_any_visible_text(self, channel: str) -> None:
        check_name(channel)

    def test_channels_keep_what_their_namespaces_say(self) -> None:
        pubsub = PubSub()
        Namespaces({"chat": CHAT, "": Namespace(history_size=1)}).configure(pubsub)
        for channel in ("news", "chat:x", "$chat:x", "chats"):
            for number in "123":
                pubsub.publish(channel, number)
        assert len(pubsub.history("news")) == 1
        assert len(pubsub.history("chats")) == 1
        assert len(pubsub.history("chat:x")) == 3
        assert len(pubsub.history("$chat:x")) == 3

    def test_without_a_default_namespace_other_channels_are_left_alone(self) -> None:
        pubsub = PubSub()
        pubsub.configure("*", history_size=1)
        Namespaces({"open": OPEN}).configure(pubsub)
        assert pubsub.publish("news", "1") is not None
        assert pubsub.publish("open:news", "1") is None


class TestPermissions:
    def test_nothing_is_allowed_unless_it_is_said(self) -> None:
        names = Namespaces({"": Namespace(presence=True, history_size=1)})
        assert code_of(names.check_subscribe, "news", "42") == 103
        for check in (names.check_publish, names.check_presence, names.check_history):
            assert code_of(check, "news", "42", True) == 103

    @pytest.mark.parametrize(
        ("who", "user", "is_subscriber", "is_allowed"),
        [
            ("nobody", "42", True, False),
            ("subscribers", "42", True, True),
            ("subscribers", "", True, True),
            ("subscribers", "42", False, False),
            ("users", "42", False, True),
            ("users", "", False, False),
            ("users", "", True, True),
            ("everyone", "", False, True),
        ],
    )
    def test_each_who_includes_those_before_it(
        self, who: str, user: str, is_subscriber: bool, is_allowed: bool
    ) -> None:
        kept = Namespace(
            presence=True, history_size=1, may_publish=who, may_see_presence=who, may_read_history=who
        )
        names = Namespaces({"": kept})
        for check in (names.check_publish, names.check_presence, names.check_history):
            assert code_of(check, "news", user, is_subscriber) == (None if is_allowed else 103)

    @pytest.mark.parametrize(
        ("channel", "user", "code"),
        [
            ("chat:lobby", "42", None),
            ("chat:lobby", "", 103),
            ("open:lobby", "", None),
            ("inbox:lobby", "42", 103),
            ("other:lobby", "42", 102),
        ],
    )
    def test_who_may_subscribe(self, channel: str, user: str, code: int | None) -> None:
        assert code_of(NAMES.check_subscribe, channel, user) == code

    def test_what_is_not_kept_is_not_available(self) -> None:
        assert code_of(NAMES.check_presence, "open:x", "42", True) == 108
        assert code_of(NAMES.check_history, "open:x", "42", True) == 108

    @pytest.mark.parametrize("channel", ["$open:x", "$open:#42", "$news"])
    def test_a_private_channel_needs_a_token(self, channel: str) -> None:
        names = Namespaces({"": OPEN, "open": Namespace(user_limited=True, may_subscribe="everyone")})
        assert code_of(names.check_subscribe, channel, "42") == 103

    def test_only_subscribers_may_do_anything_with_a_private_channel(self) -> None:
        assert code_of(NAMES.check_publish, "$open:x", "42", False) == 103
        assert code_of(NAMES.check_publish, "$open:x", "42", True) is None


class TestUserLimitedChannels:
    @pytest.mark.parametrize(
        ("channel", "user", "code"),
        [
            ("inbox:#42", "42", None),
            ("inbox:#42,43", "43", None),
            ("inbox:#ann@example.org", "ann@example.org", None),
            ("inbox:#a:b", "a:b", None),
            ("inbox:#42", "4", 103),
            ("inbox:#42", "", 103),
            ("inbox:#", "", 103),
            ("inbox:#42,", "", 103),
            ("inbox:#ann", "Ann", 103),
            ("inbox:# 42", "42", 103),
            ("inbox:#４２", "42", 103),
            ("inbox:%2342", "42", 103),
            ("inbox:#x#42", "42", 103),
            ("inbox:#x#42", "x#42", 103),
            ("inbox:#42,43", "42,43", 103),
        ],
    )
    def test_those_listed_may_subscribe(self, channel: str, user: str, code: int | None) -> None:
        assert code_of(NAMES.check_subscribe, channel, user) == code

    def test_a_hash_limits_a_channel_even_where_everyone_may_subscribe(self) -> None:
        assert code_of(NAMES.check_subscribe, "open:#42", "43") == 103
        assert code_of(NAMES.check_subscribe, "open:#42", "42") == 103

    def test_only_subscribers_may_publish_and_look(self) -> None:
        assert code_of(NAMES.check_publish, "inbox:x", "43", False) is None
        for check in (NAMES.check_publish, NAMES.check_presence):
            assert code_of(check, "inbox:#42", "43", False) == 103
            assert code_of(check, "inbox:#42", "42", True) is None

    @given(st.text(max_size=20), st.text("#,", max_size=1), st.text(max_size=20))
    def test_nobody_gets_into_the_channel_of_another(self, owner: str, sign: str, user: str) -> None:
        name = owner.replace(",", "")
        assert is_listed(f"inbox:#{name}", user) == (user == name != "" and "#" not in name)


class TestMistakes:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"may_publish": "subscriber"}, "did you mean 'subscribers'"),
            ({"may_publish": "Users"}, "one of nobody, subscribers, users, everyone"),
            ({"may_subscribe": "subscribers"}, "who may become a subscriber"),
            ({"history_size": -1}, "must not be negative"),
            ({"history_size": 1, "history_ttl": 0}, "history_ttl must be more than 0"),
            ({"recover": True}, "recover has no effect without history_size"),
            ({"positioned": True}, "positioned has no effect without history_size"),
            ({"join_leave": True}, "join_leave has no effect without presence"),
            ({"may_see_presence": "users"}, "may_see_presence has no effect without presence"),
            ({"may_read_history": "users"}, "may_read_history has no effect without history_size"),
        ],
    )
    def test_a_setting_without_sense_is_refused(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Namespace(**settings)

    @pytest.mark.parametrize(
        "settings", [{"may_publish": True}, {"presence": 1}, {"history_size": True}, {"history_sise": 1}]
    )
    def test_a_setting_of_another_type_is_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=next(iter(settings))):
            Namespace(**settings)

    @pytest.mark.parametrize("name", ["chat:", "a", "räume", "a b", "cha*", "$chat"])
    def test_a_wrong_name_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="name of a namespace"):
            Namespaces({name: CHAT})

    def test_settings_of_another_type_are_refused(self) -> None:
        with pytest.raises(TypeError, match=r"settings of namespace 'chat' are a Namespace"):
            Namespaces({"chat": {"presence": True}})  # type: ignore[dict-item]
        with pytest.raises(TypeError, match="name of a namespace is a str"):
            Namespaces({1: CHAT})  # type: ignore[dict-item]

    def test_settings_are_one_of_the_names(self) -> None:
        assert Namespace(may_publish="users").may_publish is Who.USERS
