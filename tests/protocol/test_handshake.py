"""The server's opening handshake (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.headers import Headers
from geventkws.protocol.refusals import HandshakeError
from geventkws.protocol.tokens import tokens
from tests.cost import linear_time
from tests.helpers import forms
from tests.protocol.extension_lines import MALFORMED

FORMS = forms("geventkws.protocol.handshake")

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

REQUEST = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


@dataclass
class Policy:
    subprotocols: list[str] = field(default_factory=list)
    allowed_origins: list[str] | str | None = None
    compression: bool | PerMessageDeflate = False


def request(*lines, without=(), **replaced):
    """Return the fields of a valid request, some replaced (``sec_websocket_key=...``), some lines added."""
    fields = {name: value for name, value in REQUEST.items() if name not in without}
    for name, value in replaced.items():
        fields[next(known for known in fields if known.lower() == name.replace("_", "-"))] = value
    return Headers([*fields.items(), *lines])


@pytest.fixture(scope="module", params=FORMS)
def handshake(request):
    """The readable form of the module, or the compiled one."""
    return FORMS[request.param]


@pytest.fixture(scope="module")
def answered(handshake):
    """A function that returns what a request gets: an ``Acceptance``, or the ``HandshakeError`` raised."""

    def answered(headers, policy=None, method="GET", version="1.1"):
        try:
            return handshake.negotiate(method, version, headers.pairs, policy or Policy())
        except HandshakeError as error:
            return error

    return answered


@pytest.fixture(scope="module")
def accepted(handshake, answered):
    """A function that returns the answer to a request that must be accepted."""

    def accepted(headers, policy=None):
        answer = answered(headers, policy)
        assert isinstance(answer, handshake.Acceptance), answer
        return answer

    return accepted


@pytest.fixture(scope="module")
def refused(answered):
    """A function that returns why a request is refused, which it must be."""

    def refused(*request, **more):
        error = answered(*request, **more)
        assert isinstance(error, HandshakeError), error
        return error

    return refused


# The answer


def test_the_example_of_the_rfc_is_accepted(accepted):
    headers = request(
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
    )
    assert accepted(headers, Policy(["chat"], ["http://example.com"])) == (
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT),
            ("Sec-WebSocket-Protocol", "chat"),
        ],
        "chat",
        None,
    )


def test_without_a_subprotocol_the_answer_has_no_field_for_one(accepted):
    acceptance = accepted(request())
    assert acceptance.subprotocol is None
    assert [name for name, _ in acceptance.headers] == ["Upgrade", "Connection", "Sec-WebSocket-Accept"]


def test_an_offered_extension_is_not_taken_by_a_service_without_it(accepted):
    acceptance = accepted(request(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")))
    assert "Sec-WebSocket-Extensions" not in dict(acceptance.headers)


def test_an_extension_that_the_service_has_is_agreed_and_answered(accepted):
    headers = request(
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; unknown"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    )
    acceptance = accepted(headers, Policy(["chat"], compression=True))
    assert acceptance.headers[3:] == [
        ("Sec-WebSocket-Protocol", "chat"),
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ]
    assert acceptance.compression == PerMessageDeflate()


def test_a_declined_extension_does_not_refuse_the_connection(accepted):
    headers = request(("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=7"))
    acceptance = accepted(headers, Policy(compression=True))
    assert "Sec-WebSocket-Extensions" not in dict(acceptance.headers)
    assert acceptance.compression is None


def test_the_accept_key_is_that_of_the_rfc(handshake):
    assert handshake.accept_key(KEY) == ACCEPT


# 4.2.1, item 1: the request line


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "get", ""])
def test_a_method_other_than_get_is_refused_with_405_and_allow(refused, method):
    error = refused(request(), method=method)
    assert (error.status, error.headers) == (405, [("Allow", "GET")])


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0", "1.2", "", "1"])
def test_a_version_other_than_http_1_1_is_refused(refused, version):
    error = refused(request(), version=version)
    assert (error.status, error.headers) == (400, [])
    assert error.message == f"A WebSocket is opened by HTTP/1.1, not by HTTP/{version}"


# 4.2.1, item 2: Host


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (request(without=["Host"]), "Host header missing in the upgrade request"),
        (request(("host", "server.example.com")), "Host header repeated in the upgrade request"),
        (request(host=""), "Host header malformed in the upgrade request"),
        (request(host="a, b"), "Host header malformed in the upgrade request"),
        (request(host="user@a"), "Host header malformed in the upgrade request"),
        (request(host="a:99999"), "Host header malformed in the upgrade request"),
        (request(host="[::1"), "Host header malformed in the upgrade request"),
    ],
)
def test_a_missing_repeated_or_malformed_host_is_refused(refused, headers, message):
    error = refused(headers)
    assert (error.status, error.message, error.headers) == (400, message, [])


# 4.2.1, items 3 and 4: Upgrade and Connection

UPGRADES = [
    ("websocket", "Upgrade"),
    ("WebSocket", "upgrade"),
    ("WEBSOCKET", "UPGRADE"),
    ("websocket", "keep-alive, Upgrade"),
    ("websocket", "Upgrade,keep-alive"),
    ("websocket", ",\tUpgrade ,"),
    ("h2c, websocket", "Upgrade, HTTP2-Settings"),
]
NO_UPGRADES = [
    "",
    "h2c",
    "websocket/13",
    "websockets",
    "web socket",
    '"websocket"',
    "websocket;q=1",
    "\xa0websocket",
]
NO_CONNECTIONS = ["", "keep-alive", "close", "upgraded", "keep-alive upgrade", '"upgrade"', "upgrade;q=1"]


@pytest.mark.parametrize(("upgrade", "connection"), UPGRADES)
def test_upgrade_and_connection_are_lists_that_ignore_case(accepted, upgrade, connection):
    headers = request(upgrade=upgrade, connection=connection)
    assert accepted(headers).headers[2] == ("Sec-WebSocket-Accept", ACCEPT)


def test_upgrade_and_connection_may_take_several_lines(accepted):
    headers = request(
        ("upgrade", "WebSocket"), ("connection", "Upgrade"), upgrade="h2c", connection="keep-alive"
    )
    assert accepted(headers).subprotocol is None


@pytest.mark.parametrize(
    "headers", [request(without=["Upgrade"]), *(request(upgrade=value) for value in NO_UPGRADES)]
)
def test_an_upgrade_to_something_else_is_refused(refused, headers):
    error = refused(headers)
    assert error.status == 400
    assert error.message == "Upgrade header in the upgrade request does not name websocket"


@pytest.mark.parametrize(
    "headers", [request(without=["Connection"]), *(request(connection=value) for value in NO_CONNECTIONS)]
)
def test_a_connection_field_without_upgrade_is_refused(refused, headers):
    error = refused(headers)
    assert error.status == 400
    assert error.message == "Connection header in the upgrade request does not name Upgrade"


# 4.2.1, item 6, and 4.4: the version


def test_a_missing_version_is_refused_with_400(refused):
    error = refused(request(without=["Sec-WebSocket-Version"]))
    assert error.status == 400
    assert error.message == "Sec-WebSocket-Version header missing in the upgrade request"
    assert error.headers == []


@pytest.mark.parametrize(
    "version", ["8", "7", "0", "12", "14", "255", "013", "+13", "13.0", "13, 8", "1 3", "", "x"]
)
def test_another_version_is_refused_with_426_and_the_supported_one(refused, version):
    error = refused(request(sec_websocket_version=version))
    assert error.status == 426
    assert error.message == "Only WebSocket protocol version 13 is supported"
    assert error.headers == [
        ("Sec-WebSocket-Version", "13"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
    ]


def test_a_repeated_version_is_refused_with_400(refused):
    error = refused(request(("sec-websocket-version", "13")))
    assert (error.status, error.message) == (
        400,
        "Sec-WebSocket-Version header repeated in the upgrade request",
    )


# 4.2.1, item 5: the key


def test_a_missing_key_is_refused(refused):
    error = refused(request(without=["Sec-WebSocket-Key"]))
    assert error.status == 400
    assert error.message == "Sec-WebSocket-Key header missing in the upgrade request"


@pytest.mark.parametrize("second", [KEY, "AAAAAAAAAAAAAAAAAAAAAA=="])
def test_a_repeated_key_is_refused(refused, second):
    error = refused(request(("sec-websocket-key", second)))
    assert (error.status, error.message) == (400, "Sec-WebSocket-Key header repeated in the upgrade request")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "=",
        "==",
        "a",
        KEY[:-1],
        KEY[:-2],
        KEY + "=",
        KEY + KEY,
        f"{KEY}, {KEY}",
        KEY[:10] + " " + KEY[10:],
        KEY[:10] + "\t" + KEY[11:],
        KEY + "\n",
        "dGhlIHNhbXBsZSBub25jZ===",
        base64.b64encode(bytes(15)).decode(),
        base64.b64encode(bytes(17)).decode(),
        base64.b64encode(bytes(18)).decode(),
        base64.urlsafe_b64encode(b"\xff" * 16).decode(),
        base64.b64encode(b"\xfb" * 16).decode().replace("+", "-"),
        "*" + KEY[1:],
        "é" + KEY[1:],
        "１" + KEY[1:],
        "\x00" + KEY[1:],
    ],
)
def test_a_key_that_is_not_16_bytes_in_base64_is_refused(refused, key):
    error = refused(request(("Sec-WebSocket-Key", key.strip(" ")), without=["Sec-WebSocket-Key"]))
    assert error.status == 400
    assert error.message == "Sec-WebSocket-Key header in the upgrade request is not 16 bytes in base64"


def test_a_key_may_set_the_spare_bits_of_its_last_digit(accepted):
    # RFC 4648, 3.5: a decoder may refuse that, but need not.
    assert len(base64.b64decode("AAAAAAAAAAAAAAAAAAAAAB==")) == 16
    assert accepted(request(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAB=="))


@given(st.binary(min_size=16, max_size=16))
def test_any_16_bytes_are_a_key(accepted, nonce):
    assert accepted(request(sec_websocket_key=base64.b64encode(nonce).decode()))


@given(st.binary(max_size=64).filter(lambda nonce: len(nonce) != 16))
def test_any_other_number_of_bytes_is_not_a_key(refused, nonce):
    assert refused(request(sec_websocket_key=base64.b64encode(nonce).decode())).status == 400


# 4.2.2, item 4, and 10.2: the origin


def test_a_request_without_an_origin_passes_whatever_is_allowed(accepted):
    assert accepted(request(), Policy(allowed_origins=["https://example.com"]))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://server.example.com", None),
        ("https://Server.example.com:443", None),
        ("http://evil.example", "*"),
        ("null", "*"),
        ("https://page.example", ["https://page.example:443"]),
        ("http://server.example.com/", None),
        ("https://page.example/", ["https://page.example"]),
    ],
)
def test_an_allowed_origin_passes(accepted, origin, allowed):
    assert accepted(request(("Origin", origin)), Policy(allowed_origins=allowed))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://evil.example", None),
        ("http://server.example.com:8080", None),
        ("http://server.example.com//", None),
        ("http://server.example.com/page", None),
        ("null", None),
        ("null/", ["null"]),
        ("", None),
        ("", ["https://page.example"]),
        ("http://server.example.com", []),
        ("http://page.example", ["https://page.example"]),
    ],
)
def test_a_foreign_origin_is_refused_with_403(refused, origin, allowed):
    error = refused(request(("Origin", origin)), Policy(allowed_origins=allowed))
    assert (error.status, error.headers) == (403, [])
    assert error.message.startswith("The origin ")


HELD_AGAINST = "it is not that of the Host field, which must reach the server as the browser sent it"
UNLISTED = "it is not one of the service's allowed_origins"
UNNAMED = "The origin of the upgrade request"


@pytest.mark.parametrize(
    ("origin", "allowed", "message"),
    [
        (
            "https://evil.example",
            None,
            f"The origin https://evil.example is not allowed to connect: {HELD_AGAINST}",
        ),
        (
            "https://evil.example",
            [],
            f"The origin https://evil.example is not allowed to connect: {UNLISTED}",
        ),
        ("null", None, f"{UNNAMED} is not allowed to connect: {HELD_AGAINST}"),
        ("<script>", None, f"{UNNAMED} is not allowed to connect: {HELD_AGAINST}"),
        ("http://" + "x" * 254, [], f"{UNNAMED} is not allowed to connect: {UNLISTED}"),
    ],
)
def test_a_403_says_where_to_look_and_repeats_no_more_than_the_origin(refused, origin, allowed, message):
    error = refused(request(("Origin", origin)), Policy(allowed_origins=allowed))
    assert error.message == message


def test_a_repeated_origin_is_refused_with_400(refused):
    headers = request(("Origin", "http://server.example.com"), ("origin", "http://server.example.com"))
    assert refused(headers, Policy(allowed_origins="*")).status == 400


# 4.2.1, item 8, and 4.2.2, item 5: subprotocols


@pytest.mark.parametrize(
    ("lines", "spoken", "chosen"),
    [
        (["chat"], ["chat"], "chat"),
        (["chat, superchat"], ["superchat", "chat"], "chat"),
        (["superchat, chat"], ["superchat", "chat"], "superchat"),
        (["other, superchat"], ["superchat", "chat"], "superchat"),
        (["other", "superchat, chat"], ["chat", "superchat"], "superchat"),
        ([",other ,\tchat,,"], ["chat"], "chat"),
        (["", "chat"], ["chat"], "chat"),
        ([""], ["chat"], None),
        (["", " ,\t,"], ["chat"], None),
        (["chat, chat"], ["chat"], "chat"),
        (["other, other"], ["chat"], None),
        (["other"], ["chat"], None),
        (["Chat"], ["chat"], None),
        (["chat"], [], None),
        ([], ["chat"], None),
    ],
)
def test_the_subprotocol_is_the_first_of_the_client_that_the_service_speaks(accepted, lines, spoken, chosen):
    acceptance = accepted(request(*(("Sec-WebSocket-Protocol", line) for line in lines)), Policy(spoken))
    assert acceptance.subprotocol == chosen
    assert dict(acceptance.headers).get("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(
    "lines",
    [
        ["a b"],
        ["chat, a b"],
        ["chat", "é"],
        ['"chat"'],
        ["chat;v=1"],
        ["a/b"],
    ],
)
def test_malformed_subprotocols_are_refused_even_if_one_would_match(refused, lines):
    error = refused(request(*(("Sec-WebSocket-Protocol", line) for line in lines)), Policy(["chat"]))
    assert (error.status, error.message) == (
        400,
        "Sec-WebSocket-Protocol header malformed in the upgrade request",
    )


# 4.2.1, item 9, and 9.1: extensions


@pytest.mark.parametrize("policy", [Policy(), Policy(compression=True)])
@pytest.mark.parametrize("line", MALFORMED)
def test_malformed_extensions_are_refused_whatever_the_service_has(refused, line, policy):
    error = refused(request(("Sec-WebSocket-Extensions", line)), policy)
    assert error.status == 400
    assert error.message.startswith("Sec-WebSocket-Extensions header malformed in the upgrade request, at ")
    mixed = request(("Sec-WebSocket-Extensions", "permessage-deflate"), ("Sec-WebSocket-Extensions", line))
    assert refused(mixed, policy).status == 400


# The order of the checks: each request has all faults from its own on, and the first one decides the answer.

FAULTS = [
    ("Host", [], 400, "Host header missing in the upgrade request"),
    ("Upgrade", ["h2c"], 400, "Upgrade header in the upgrade request does not name websocket"),
    ("Connection", ["close"], 400, "Connection header in the upgrade request does not name Upgrade"),
    ("Sec-WebSocket-Version", ["8"], 426, "Only WebSocket protocol version 13 is supported"),
    (
        "Sec-WebSocket-Key",
        ["x"],
        400,
        "Sec-WebSocket-Key header in the upgrade request is not 16 bytes in base64",
    ),
    (
        "Origin",
        ["null"],
        403,
        "The origin of the upgrade request is not allowed to connect: it is not that of the Host field, which"
        " must reach the server as the browser sent it",
    ),
    (
        "Sec-WebSocket-Protocol",
        ["a b"],
        400,
        "Sec-WebSocket-Protocol header malformed in the upgrade request",
    ),
    (
        "Sec-WebSocket-Extensions",
        ["a b"],
        400,
        "Sec-WebSocket-Extensions header malformed in the upgrade request, at character 2:"
        " expected a comma, or a semicolon and a parameter",
    ),
]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_the_first_fault_in_the_order_of_the_table_is_the_answer(refused, first):
    faulty = {name: values for name, values, _, _ in FAULTS[first:]}
    lines = [(name, value) for name, value in REQUEST.items() if name not in faulty]
    lines += [(name, value) for name, values in faulty.items() for value in values]
    error = refused(Headers(lines))
    assert (error.status, error.message) == FAULTS[first][2:]


def test_the_method_comes_first_and_the_version_of_http_second(refused):
    assert refused(Headers(), method="POST", version="1.0").status == 405
    assert refused(Headers(), version="1.0").message == "A WebSocket is opened by HTTP/1.1, not by HTTP/1.0"


# Whatever a peer sends


NAMES = [*REQUEST, "Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie"]
VALUES = (
    st.sampled_from(
        [*REQUEST.values(), "8", "null", "http://server.example.com", "chat", "chat, superchat", ""]
    )
    | st.text('aZ0+/=,:;[]. \t"\\', max_size=30)
    | st.text(st.characters(max_codepoint=0xFF), max_size=30)
)


@given(
    st.sampled_from(["GET", "POST", ""]),
    st.sampled_from(["1.1", "1.0", ""]),
    st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=10), VALUES), max_size=12),
    st.sampled_from([None, "*", [], ["http://example.com"]]),
    st.booleans(),
)
def test_a_handshake_is_accepted_or_refused_whatever_is_sent(
    answered, method, version, lines, allowed, complete
):
    headers = Headers([*(REQUEST.items() if complete else ()), *lines])
    answer = answered(headers, Policy(["chat"], allowed), method, version)
    if isinstance(answer, HandshakeError):
        assert answer.status in (400, 403, 405, 426)
    else:
        assert (method, version) == ("GET", "1.1")
        assert "websocket" in tokens(headers.get_all("Upgrade"))
        assert "upgrade" in tokens(headers.get_all("Connection"))
        assert answer.subprotocol in ("chat", None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [",", " ", "a", "a,", "=", "A=", "chat, "])
def test_a_megabyte_in_any_field_is_judged_in_linear_time(answered, name, unit):
    headers = Headers(
        [*((known, value) for known, value in REQUEST.items() if known != name), (name, unit * 2**19)]
    )
    with linear_time():
        answer = answered(headers, Policy([f"v{number}.chat" for number in range(1000)]))
    assert not isinstance(answer, HandshakeError) or len(answer.message) < 1000, (
        "a refusal does not echo what was sent"
    )
