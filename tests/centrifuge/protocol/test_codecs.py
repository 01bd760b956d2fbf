"""Both formats: frames to commands and back, replies to frames, and what is malformed."""

from __future__ import annotations

import json
from typing import Any

import centrifuge.protocol.client_pb2 as theirs
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from geventkws.centrifuge.protocol import json_codec, protobuf_codec
from geventkws.centrifuge.protocol.codec import Codec
from geventkws.centrifuge.protocol.fields import Field, Kind, fields_of
from geventkws.centrifuge.protocol.json_codec import RANGES
from geventkws.centrifuge.protocol.parts import ClientInfo, Publication, StreamPosition
from geventkws.centrifuge.protocol.protobuf_codec import with_length
from geventkws.centrifuge.protocol.replies import (
    ConnectResult,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    Push,
    Reply,
    RPCResult,
    SubscribeResult,
    UnsubscribeResult,
    reply,
)
from geventkws.centrifuge.protocol.requests import Command, HistoryRequest, PublishRequest, SubscribeRequest
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF

pytestmark = pytest.mark.readable

CODECS = pytest.mark.parametrize("codec", [JSON, PROTOBUF], ids=lambda codec: codec.name)


def in_their_format(codec: Codec, *commands: dict[str, Any]) -> str | bytes:
    """Return a frame with commands, as a client makes it."""
    if codec is JSON:
        return "\n".join(map(json.dumps, commands))
    return b"".join(with_length(as_message(command).SerializeToString()) for command in commands)


def as_message(command: dict[str, Any]) -> Any:
    message = ParseDict({name: {} for name in command if name != "id"}, theirs.Command())
    message.id = command.get("id", 0)
    for name in command:
        if name != "id":
            fill(getattr(message, name), command[name])
    return message


def fill(message: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name == "since":
            message.since.CopyFrom(theirs.StreamPosition(**value))
        elif name == "data":
            message.data = json.dumps(value).encode()
        else:
            setattr(message, name, value)


@CODECS
def test_a_frame_holds_several_commands(codec: Codec) -> None:
    subscribe = {"channel": "news", "recover": True, "epoch": "x", "offset": 2**40}
    frame = in_their_format(
        codec,
        {"id": 1, "subscribe": subscribe},
        {},
        {"id": 2**32 - 1, "history": {"channel": "ä", "limit": -1, "since": {"offset": 3, "epoch": "y"}}},
        {"id": 3, "publish": {"channel": "news", "data": [1, None]}},
    )
    commands = codec.decode(frame)
    data = b"[1,null]" if codec is JSON else b"[1, null]"
    assert commands == [
        Command(1, subscribe=SubscribeRequest("news", recover=True, epoch="x", offset=2**40)),
        Command(),
        Command(2**32 - 1, history=HistoryRequest("ä", -1, StreamPosition(3, "y"))),
        Command(3, publish=PublishRequest("news", data)),
    ]
    assert commands[0].request == commands[0].subscribe
    assert commands[1].request is None


REPLIES = [
    Reply(),
    reply(
        1,
        ConnectResult("c", ping=25, pong=True, subs={"a": SubscribeResult(), "b": SubscribeResult(True, 7)}),
    ),
    reply(2, UnsubscribeResult()),
    reply(3, RPCResult(b'{"a":\n"b"}')),
    reply(4, PresenceResult({"c": ClientInfo("u", "c", b"{}")})),
    Reply(push=Push("news", pub=Publication(b'"\xc3\xa4"', ClientInfo("u", "c"), 2**53, {"k": 'v"'}))),
]


def test_replies_in_json_are_lines() -> None:
    assert JSON.encode(REPLIES).split("\n") == [
        "{}",
        '{"id":1,"connect":{"client":"c","subs":{"a":{},"b":{"expires":true,"ttl":7}},"ping":25,"pong":true}}',
        '{"id":2,"unsubscribe":{}}',
        '{"id":3,"rpc":{"data":{"a": "b"}}}',
        '{"id":4,"presence":{"presence":{"c":{"user":"u","client":"c","conn_info":{}}}}}',
        '{"push":{"channel":"news","pub":{"data":"ä","info":{"user":"u","client":"c"},'
        '"offset":9007199254740992,"tags":{"k":"v\\""}}}}',
    ]


def test_json_has_what_clients_need_even_if_it_is_nothing() -> None:
    assert JSON.encode(
        [reply(1, PresenceStatsResult()), reply(2, PresenceResult()), reply(3, HistoryResult())]
    ) == (
        '{"id":1,"presence_stats":{"num_clients":0,"num_users":0}}\n'
        '{"id":2,"presence":{"presence":{}}}\n'
        '{"id":3,"history":{"publications":[],"epoch":"","offset":0}}'
    )


def test_replies_in_protobuf_are_what_a_client_reads() -> None:
    bodies = protobuf_codec.split(PROTOBUF.encode(REPLIES))
    ping, connect, unsubscribe, rpc, presence, push = (theirs.Reply.FromString(body) for body in bodies)
    assert ping == theirs.Reply()
    assert sorted(connect.connect.subs) == ["a", "b"]
    assert connect.connect.subs["b"].ttl == 7
    assert (unsubscribe.id, unsubscribe.HasField("unsubscribe")) == (2, True)
    assert rpc.rpc.data == b'{"a":\n"b"}'
    assert presence.presence.presence["c"] == theirs.ClientInfo(user="u", client="c", conn_info=b"{}")
    assert (push.push.pub.offset, push.push.pub.tags) == (2**53, {"k": 'v"'})


TYPES = {"SubscribeRequest": 15, "PublishRequest": 3, "SubRefreshRequest": 3}
"""The numbers of the fields ``type``, which are newer than the client's description."""


@pytest.mark.parametrize(
    "name",
    [message.name for message in protobuf_codec.COMMAND.DESCRIPTOR.file.message_types_by_name.values()],
)
def test_the_numbers_are_those_of_a_client(name: str) -> None:
    ours = protobuf_codec.COMMAND.DESCRIPTOR.file.message_types_by_name[name]
    described = theirs.DESCRIPTOR.message_types_by_name[name]
    for field in ours.fields:
        other = described.fields_by_name.get(field.name)
        if other is None:
            assert (field.name, field.number) == ("type", TYPES[name])
            continue
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " \n ",
        "[]",
        "null",
        '{"id":1,}',
        '{"id":-1}',
        '{"id":4294967296}',
        '{"id":true}',
        '{"id":1.5}',
        '{"id":"1"}',
        '{"id":1,"ping":[]}',
        '{"id":1,"subscribe":{"channel":5}}',
        '{"id":1,"subscribe":{"channel":"\\ud800"}}',
        '{"id":1,"subscribe":{"recover":1}}',
        '{"id":1,"connect":{"subs":[]}}',
        '{"id":1,"connect":{"headers":{"a":1}}}',
        '{"id":1,"publish":{"data":NaN}}',
        '{"id":1,"publish":{"data":1e999}}',
        '{"id":1,"publish":{"data":"\\ud800"}}',
        '{"id":' + "1" * 5000 + "}",
        "[" * 60_000,
        '{"id":1,"rpc":{"data":' + "[" * 30_000 + "]" * 30_000 + "}}",
        b"\xff",
    ],
)
def test_malformed_json_is_refused(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        JSON.decode(frame)


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        b"",
        b"\x05\x08\x01",  # shorter than announced
        b"\x80",  # ends within a length
        b"\xff\xff\xff\xff\xff\x01",  # a length of more than 5 bytes
        b"\xff\xff\xff\xff\x0f",
        with_length(b"\x08"),  # ends within a number
        with_length(b"\x2a\x03\x0a\x01\xff"),  # not UTF-8
    ],
)
def test_malformed_protobuf_is_refused(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        PROTOBUF.decode(frame)


@CODECS
@given(data=st.data())
def test_whatever_arrives_is_decoded_or_refused(codec: Codec, data: st.DataObject) -> None:
    frame: Any = data.draw(st.text() if codec is JSON else st.binary())
    try:
        commands = codec.decode(frame)
    except ValueError:
        return
    assert all(isinstance(command, Command) for command in commands)


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.STRING: st.text(st.characters(codec="utf-8")),
    Kind.BOOL: st.booleans(),
    Kind.RAW: st.sampled_from([b"1", b'{"a":[null]}', b'"\xc3\xa4"']),
    **{kind: st.integers(numbers[0], numbers[-1]) for kind, numbers in RANGES.items()},
}


def values_of(field: Field) -> st.SearchStrategy[Any]:
    one = VALUES[field.kind] if field.message is None else messages(field.message())
    if field.is_list:
        return st.lists(one, max_size=2).map(tuple)
    if field.is_map:
        return st.dictionaries(VALUES[Kind.STRING], one, max_size=2)
    return one if field.message is None else st.none() | one


def messages(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: values_of(field) for field in fields_of(kind)})


@given(command=messages(Command))
def test_a_command_survives_both_formats(command: Command) -> None:
    written: Any = command
    body = protobuf_codec._filled(protobuf_codec.COMMAND(), command).SerializeToString()
    in_json: str = json_codec.JSONCodec().encode([written])
    assert PROTOBUF.decode(with_length(body)) == [command]
    assert JSON.decode(in_json) == [command]


def test_only_json_is_data_in_json() -> None:
    assert JSON.is_data(b' {"a": 1} ')
    assert not any(map(JSON.is_data, [b"", b"\xff", b"{", b"1 2", b"NaN", b"[" * 50_000]))
    assert PROTOBUF.is_data(b"\xff")
