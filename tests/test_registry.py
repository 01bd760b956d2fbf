"""Services by path."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.registry import ServiceRegistry, WebSocket
from geventkws.service import WebSocketService
from tests.cost import linear_time


class Named(WebSocketService):
    def __init__(self, name):
        self.name = name

    def connected(self, connection):
        pass


def registry(*paths):
    """Return a registry with a service at each of ``paths``, named like its path."""
    made = ServiceRegistry()
    for path in paths:
        made.register(Named(path), path)
    return made


def found(services, path):
    """Return the name of the service at ``path`` and the values of the parameters."""
    match = services.match(path)
    return match and (match[0].name, match[1])


# Literal paths


@pytest.mark.parametrize("registered", ["chat", "/chat", "CHAT", "/Chat", "c%68at"])
@pytest.mark.parametrize("asked", ["/chat", "/CHAT", "/cHaT", "/%63hat", "/%43HAT"])
def test_a_path_ignores_case_percent_encoding_and_its_leading_slash(registered, asked):
    assert found(registry(registered), asked) == (registered, {})


@pytest.mark.parametrize(
    "asked",
    [
        "/",
        "/chat/",
        "//chat",
        "/chat//",
        "/chats",
        "/cha",
        "/chat/x",
        "/x/chat",
        "/chat%2F",
        "/%2Fchat",
        "/chat%20",
        "/chat?",
        "/./chat",
        "/x/../chat",
    ],
)
def test_another_path_is_not_found(asked):
    assert registry("chat").match(asked) is None


@pytest.mark.parametrize("asked", ["", "chat", "*", "http://localhost/chat", "localhost:80", "%2Fchat"])
def test_what_is_not_a_path_is_not_found(asked):
    assert registry("chat", "*", "localhost:80", "/").match(asked) is None


def test_a_trailing_slash_counts():
    services = registry("chat", "room/")
    assert services.match("/chat/") is None
    assert services.match("/room") is None
    assert found(services, "/room/") == ("room/", {})


def test_the_root_is_a_slash():
    assert found(registry("/"), "/") == ("/", {})


def test_only_one_leading_slash_may_be_left_out():
    services = registry("//chat")
    assert services.match("/chat") is None
    assert found(services, "//chat") == ("//chat", {})


def test_an_encoded_slash_does_not_begin_a_new_segment():
    services = registry("a/b")
    assert services.match("/a%2Fb") is None
    assert found(registry("a%2Fb"), "/A%2fB") == ("a%2Fb", {})
    assert registry("a%2Fb").match("/a/b") is None


def test_an_encoded_percent_sign_is_decoded_once():
    services = registry("100%25")
    assert found(services, "/100%25") == ("100%25", {})
    assert services.match("/100%2525") is None


@pytest.mark.parametrize("asked", ["/caf%C3%A9", "/CAF%C3%89", "/caf%c3%a9", "/café"])
def test_case_is_ignored_beyond_ascii(asked):
    assert found(registry("Café"), asked) == ("Café", {})


@pytest.mark.parametrize("asked", ["/Stra%C3%9Fe", "/STRASSE", "/Straße"])
def test_case_is_folded_where_lower_case_would_not_do(asked):
    assert found(registry("straße"), asked) == ("straße", {})


@pytest.mark.parametrize("asked", ["/caf%E9", "/caf%", "/caf%zz", "/caf%C3", "/caf%00", "/caf%F0%9F"])
def test_broken_percent_encoding_is_another_path(asked):
    assert registry("café", "caf").match(asked) is None


def test_encoded_angle_brackets_are_literal():
    services = registry("/%3Croom%3E")
    assert found(services, "/%3Croom%3E") == ("/%3Croom%3E", {})
    assert found(services, "/<room>") == ("/%3Croom%3E", {})
    assert services.match("/lobby") is None


# Parameters


def test_a_parameter_takes_a_segment_with_its_case_decoded():
    services = registry("/rooms/<room>")
    assert found(services, "/ROOMS/Lobby") == ("/rooms/<room>", {"room": "Lobby"})
    assert found(services, "/rooms/J%C3%B6rg%20%26%2Fco") == ("/rooms/<room>", {"room": "Jörg &/co"})
    assert found(services, "/rooms/100%2525") == ("/rooms/<room>", {"room": "100%25"})


def test_a_value_that_is_not_utf8_gets_replacement_characters():
    assert found(registry("<room>"), "/a%FFb%") == ("<room>", {"room": "a\ufffdb%"})


@pytest.mark.parametrize(
    "asked", ["/rooms", "/rooms/", "/rooms//", "/rooms/a/", "/rooms/a/b", "/room/a", "/"]
)
def test_a_parameter_is_one_segment_that_is_not_empty(asked):
    assert registry("/rooms/<room>").match(asked) is None


def test_a_path_may_have_several_parameters_and_end_with_a_slash():
    services = registry("/<tenant>/rooms/<room>/")
    assert found(services, "/Acme/Rooms/Lobby/") == (
        "/<tenant>/rooms/<room>/",
        {"tenant": "Acme", "room": "Lobby"},
    )
    assert services.match("/Acme/Rooms/Lobby") is None


def test_an_exact_path_beats_a_parameter_in_whatever_order_they_came():
    for paths in (("rooms/<room>", "rooms/lobby"), ("rooms/lobby", "rooms/<room>")):
        services = registry(*paths)
        assert found(services, "/rooms/LOBBY") == ("rooms/lobby", {})
        assert found(services, "/rooms/other") == ("rooms/<room>", {"room": "other"})


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("/a/b/c", "a/b/<z>"),
        ("/a/x/c", "a/<y>/c"),
        ("/a/x/y", "a/<y>/<z>"),
        ("/x/b/c", "<x>/b/c"),
        ("/x/b/y", "<x>/b/<z>"),
        ("/x/y/c", "<x>/<y>/c"),
        ("/x/y/z", "<x>/<y>/<z>"),
    ],
)
def test_the_literal_that_comes_first_decides_between_parameters(asked, name):
    paths = ["<x>/<y>/<z>", "a/<y>/<z>", "<x>/b/<z>", "<x>/<y>/c", "a/b/<z>", "<x>/b/c", "a/<y>/c"]
    for order in (paths, paths[::-1]):
        match = found(registry(*order), asked)
        assert match is not None
        assert match[0] == name


def test_a_path_with_a_literal_that_does_not_fit_gives_way():
    assert found(registry("a/<y>/c", "<x>/b/<z>"), "/a/b/d") == ("<x>/b/<z>", {"x": "a", "z": "d"})


@pytest.mark.parametrize(
    "path",
    [
        "<>",
        "a<room>",
        "<room>a",
        "<room",
        "room>",
        "<a><b>",
        "<a b>",
        "<1>",
        "<a-b>",
        "<room>x/<b>",
        "<<a>>",
        "a>b<",
    ],
)
def test_a_malformed_parameter_is_a_value_error_and_registers_nothing(path):
    services = ServiceRegistry()
    with pytest.raises(ValueError, match="a whole segment like '<room>'"):
        services.register(Named("x"), path)
    assert not services.services


def test_a_repeated_parameter_is_a_value_error():
    with pytest.raises(ValueError, match="two parameters called 'a'"):
        ServiceRegistry().register(Named("x"), "<a>/<b>/<a>")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "the path is empty: write '/' for the root"),
        ("ws://h/chat", "'ws://h/chat' is a URL: write '/chat', without 'ws://h'"),
        ("WSS://h:8080", "'WSS://h:8080' is a URL: write '/', without 'WSS://h:8080'"),
        ("/chat?x=1", r"'/chat\?x=1' has a query: leave it out, and read connection\.request\.query"),
        ("chat#top", "'chat#top' has a fragment, which no client sends: leave it out"),
        ("/rooms/{room}", "a parameter is written '<room>', not '{room}'"),
        ("/rooms/{room:int}/x", "a parameter is written '<room>', not '{room:int}'"),
        ("/rooms/room-{}", "a parameter is written '<name>', not 'room-{}'"),
        ("/rooms/:room", "a parameter is written '<room>', not ':room'"),
        ("/rooms/<int:room>", "a whole segment like '<room>', not '<int:room>'"),
        (r"^rooms/(?P<room>\w+)$", "a whole segment like '<room>'"),
    ],
)
def test_what_nobody_could_ask_for_is_a_value_error_that_says_what_to_write(path, said):
    services = ServiceRegistry()
    with pytest.raises(ValueError, match=said):
        services.register(Named("x"), path)
    assert not services.services


@pytest.mark.parametrize("path", ["/at:noon", "a:b", "/%3Aroom", "/what%3F", "/%7Broom%7D", "http:/x", "*"])
def test_what_only_resembles_a_mistake_is_a_path(path):
    assert list(registry(path).services) == ["/" + path.removeprefix("/")]


# Registering


def test_registering_on_a_taken_path_replaces():
    services = ServiceRegistry()
    for name, path in (("old", "/Chat"), ("new", "chat"), ("old", "rooms/<a>"), ("new", "Rooms/<b>")):
        services.register(Named(name), path)
    assert found(services, "/chat") == ("new", {})
    assert found(services, "/rooms/1") == ("new", {"b": "1"})
    assert list(services.services) == ["/chat", "/Rooms/<b>"]


def test_a_replacement_is_logged(caplog):
    services, first = registry("other"), Named("first")
    services.register(first, "/Chat")
    services.register(first, "chat")
    assert not caplog.records
    services.register(type("Other", (Named,), {})("second"), "chat")
    [record] = caplog.records
    assert record.getMessage() == "Other at /chat replaces Named, which was registered there before"
    services.unregister("chat")
    services.register(first, "chat")
    assert caplog.records == [record]


def test_one_service_may_be_at_several_paths():
    services, service = ServiceRegistry(), Named("x")
    services.register(service, "a")
    services.register(service, "b/<c>")
    assert services.match("/a") == (service, {})
    assert services.match("/b/1") == (service, {"c": "1"})


@pytest.mark.parametrize("path", ["chat", "/CHAT", "ch%61t"])
def test_unregistering_takes_the_service_away(path):
    services = registry("chat", "other")
    services.unregister(path)
    assert services.match("/chat") is None
    assert found(services, "/other") == ("other", {})


def test_unregistering_a_path_with_parameters_needs_only_their_places():
    services = registry("rooms/<room>", "rooms/lobby", "<x>/1")
    services.unregister("Rooms/<name>")
    assert found(services, "/rooms/lobby") == ("rooms/lobby", {})
    assert found(services, "/rooms/1") == ("<x>/1", {"x": "rooms"})
    assert services.match("/rooms/2") is None


@pytest.mark.parametrize("path", ["", "other", "/chat/", "<x>", "chat/<x>", "a<b", "<>", "%zz"])
def test_unregistering_an_unknown_path_does_nothing(path):
    services = registry("chat")
    services.unregister(path)
    assert found(services, "/chat") == ("chat", {})


def test_services_are_shown_by_the_path_they_were_registered_on():
    services = registry("Chat", "/rooms/<room>")
    shown = services.services
    assert list(shown) == ["/Chat", "/rooms/<room>"]
    with pytest.raises(TypeError):
        shown["/x"] = Named("x")
    services.unregister("chat")
    assert list(shown) == ["/Chat", "/rooms/<room>"], "a copy"


@pytest.mark.parametrize("service", [None, "chat", object(), Named])
def test_anything_but_a_service_is_a_type_error(service):
    services = ServiceRegistry()
    with pytest.raises(TypeError):
        services.register(service, "chat")
    assert services.match("/chat") is None


def test_swapped_arguments_are_reported():
    with pytest.raises(TypeError, match=r"the service comes first: register\(service, on_path\)"):
        ServiceRegistry().register("chat", Named("x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [None, 1, b"/chat"])
def test_a_path_that_is_not_a_str_is_a_type_error(path):
    with pytest.raises(TypeError, match="a path must be a str"):
        ServiceRegistry().register(Named("x"), path)
    with pytest.raises(TypeError, match="a path must be a str"):
        ServiceRegistry().unregister(path)


# The process-wide registry


@pytest.fixture
def process_wide() -> Iterator[ServiceRegistry]:
    yield WebSocket.services
    for path in list(WebSocket.services.services):
        WebSocket.unregister(path)


def test_the_process_wide_registry_takes_on_path_by_keyword(process_wide):
    service = Named("chat")
    WebSocket.register(service, on_path="chat")
    assert isinstance(process_wide, ServiceRegistry)
    assert WebSocket.services.match("/chat") == (service, {})
    WebSocket.unregister("/CHAT")
    assert WebSocket.services.match("/chat") is None


def test_registries_know_nothing_of_each_other(process_wide):
    WebSocket.register(Named("chat"), "chat")
    assert ServiceRegistry().match("/chat") is None


# Whatever a peer sends

SEGMENTS = st.text("aAbB%2f<>.", max_size=4) | st.text(max_size=8)


@given(st.lists(SEGMENTS, max_size=6).map("/".join))
def test_any_path_is_found_or_not(path):
    services = registry("a", "a/<b>", "<a>/b/<c>", "/", "ab/")
    for asked in (path, f"/{path}"):
        match = services.match(asked)
        if match is not None:
            assert asked.startswith("/")
            assert all(match[1].values())


@pytest.mark.parametrize(
    ("path", "registered"),
    [("/CHAT", "/chat"), ("/rooms/a%2Fb", "/rooms/<room>"), ("/rooms/", None), ("/x", None), ("chat", None)],
)
def test_the_registered_path_is_returned_as_it_was_registered(path, registered):
    services = registry("chat", "rooms/<room>")
    assert services.registered_path(path) == registered
    assert (services.match(path) is None) == (registered is None)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_as_the_value_of_a_parameter(value):
    path = f"/rooms/{quote(value, safe='')}"
    assert found(registry("rooms/<room>"), path) == ("rooms/<room>", {"room": value})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>%{}:?#"), min_size=1))
def test_a_path_finds_itself_in_any_case(text):
    services = registry(text)
    assert found(services, "/" + quote(text.removeprefix("/").casefold())) == (text, {})


@pytest.mark.parametrize("unit", ["/", "/a", "%", "%2F", "/%41", "a", "/é", "%F0"])
def test_a_quarter_of_a_megabyte_of_path_is_looked_up_in_linear_time(unit):
    services = registry(*(f"<a>/{'x/' * depth}<b>" for depth in range(20)), "<all>")
    with linear_time():
        services.match("/" + unit * (2**18 // len(unit)))
