"""The examples, run as a person would run them, with real clients."""

from __future__ import annotations

import errno
import itertools
import json
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
import websocket

from tests.certificates import HOST, Certificates
from tests.helpers import free_port
from tests.programs import EXAMPLES, Program, Server, python, server
from tests.waiting import PATIENCE

pytestmark = pytest.mark.once  # its programs are those of a user, whatever they run on


@pytest.fixture(scope="module")
def echo() -> Iterator[Server]:
    with server("echo") as running:
        yield running


@pytest.fixture(scope="module")
def chat() -> Iterator[Server]:
    """A chat for all tests, each of which has a room of its own."""
    with server("chat") as running:
        yield running


class Plain:
    """A plain client of the chat."""

    def __init__(self, chat: Server, subprotocols: list[str] | None = None, path: str = "/chat") -> None:
        self.socket = websocket.create_connection(
            f"ws://{chat.address}{path}", timeout=PATIENCE, subprotocols=subprotocols
        )

    def closed(self) -> tuple[int, str]:
        """Read up to the server's close frame and return its code and reason."""
        while True:
            opcode, frame = self.socket.recv_data_frame(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(frame.data[:2], "big"), frame.data[2:].decode()


class Page(Plain):
    """What the chat's page sends and receives, without the page."""

    def __init__(self, chat: Server, path: str = "/chat") -> None:
        super().__init__(chat, ["chat.json"], path)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def read(self) -> dict[str, Any]:
        fields = json.loads(self.socket.recv())
        assert isinstance(fields, dict)
        return fields

    def read_until(self, kind: str) -> dict[str, Any]:
        while (fields := self.read())["type"] != kind:
            pass
        return fields

    def join(self, nick: str, session: str | None = None, since: object = None) -> dict[str, Any]:
        self.send("join", nick=nick, session=session, since=since)
        return self.read()

    def say(self, text: str) -> dict[str, Any]:
        """Send a message, and return it as it comes back."""
        self.send("message", text=text, key=text[:64])
        message = self.read_until("message")
        assert self.read_until("sent")["position"] == message["position"]
        return message


numbers = itertools.count(1)


@pytest.fixture
def room(chat: Server) -> Iterator[Room]:
    with ExitStack() as stack:
        yield Room(chat, stack, f"/chat/{next(numbers)}")


class Room:
    """Lets people into a room of the chat, and closes their sockets in the end."""

    def __init__(self, chat: Server, stack: ExitStack, path: str) -> None:
        self._chat = chat
        self._stack = stack
        self._path = path

    def plain(self, subprotocols: list[str] | None = None, path: str | None = None) -> Plain:
        client = Plain(self._chat, subprotocols, path or self._path)
        self._stack.callback(client.socket.shutdown)
        return client

    def page(self, nick: str | None = None, path: str | None = None) -> Page:
        client = Page(self._chat, path or self._path)
        self._stack.callback(client.socket.shutdown)
        if nick is not None:
            assert client.join(nick)["type"] == "welcome"
        return client


class TestEveryProgram:
    @pytest.mark.parametrize("path", ["echo/server.py", "chat/server.py", "chat/client.py"])
    def test_help_explains_its_arguments(self, path: str) -> None:
        with Program(*python(path), "--help") as program:
            assert program.wait() == 0
        assert re.search(r"host", program.output)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize(("name", "path"), [("echo", "/echo"), ("chat", "/chat")])
    def test_a_signal_says_goodbye_to_clients_and_ends_the_server(
        self, name: str, path: str, number: signal.Signals
    ) -> None:
        with server(name) as running:
            client = Plain(running, path=path)
            running.signal(number)
            assert client.closed()[0] == 1001
            client.socket.shutdown()
            assert running.wait() == 0

    @pytest.mark.parametrize("name", ["echo", "chat"])
    def test_a_port_that_is_taken_gets_one_line_that_says_what_to_do(self, name: str, echo: Server) -> None:
        with Server(name, echo.port) as late:
            assert late.wait() == 1
        assert late.output.count("\n") == 1
        assert "already in use" in late.output
        assert "choose another port" in late.output


class TestEcho:
    @pytest.mark.parametrize("message", ["grüße", b"\x00\xff\xfe", "", b"", "long " * 20_000])
    def test_a_message_comes_back_in_its_own_type(self, echo: Server, message: str | bytes) -> None:
        client = Plain(echo, path="/echo")
        kind = websocket.ABNF.OPCODE_TEXT if isinstance(message, str) else websocket.ABNF.OPCODE_BINARY
        client.socket.send(message, kind)
        opcode, frame = client.socket.recv_data_frame()
        client.socket.close()
        payload = message.encode() if isinstance(message, str) else message
        assert (opcode, frame.data) == (kind, payload)

    def test_plain_http_gets_a_line_of_text(self, echo: Server) -> None:
        response = requests.get(f"http://{echo.address}/", timeout=PATIENCE)
        assert response.text == "An echo service: open a WebSocket to /echo on this port.\n"

    def test_a_certificate_makes_it_wss(self, certificates: Certificates) -> None:
        files = ("--certfile", certificates.certfile, "--keyfile", certificates.keyfile)
        with Program(*python("echo/server.py"), "--host", HOST, "--port", "0", *files) as program:
            port = program.expect(r"Listening on port (\d+)")[1]
            client = websocket.create_connection(
                f"wss://{HOST}:{port}/echo", timeout=PATIENCE, sslopt={"context": certificates.client()}
            )
            client.send("grüße")
            assert client.recv() == "grüße"
            client.close()


class TestPlainClientsOfTheChat:
    def test_text_goes_as_it_is_to_everybody_but_its_sender(self, room: Room) -> None:
        first, second, third = room.plain(), room.plain(), room.plain()
        first.socket.send('{"type": "any"} text: <b>ü</b>\n')
        assert second.socket.recv() == third.socket.recv() == '{"type": "any"} text: <b>ü</b>\n'
        second.socket.send("an answer")
        assert first.socket.recv() == third.socket.recv() == "an answer"

    def test_binary_is_answered_with_1003(self, room: Room) -> None:
        first, second, third = room.plain(), room.plain(), room.plain()
        first.socket.send_bytes(b"\x00")
        assert first.closed() == (1003, "Chat-Server only accepts text messages")
        second.socket.send("we go on")
        assert third.socket.recv() == "we go on"

    def test_the_subprotocol_of_kituras_client_is_accepted(self, room: Room) -> None:
        first, second = room.plain(["chat"]), room.plain()
        assert first.socket.getsubprotocol() == "chat"
        first.socket.send("hello")
        assert second.socket.recv() == "hello"


class TestPagesOfTheChat:
    def test_a_page_learns_who_is_here_and_the_others_learn_of_it(self, room: Room) -> None:
        ann = room.page("Ann")
        bob = room.page()
        welcome = bob.join("  Bob \t B. ")
        assert (welcome["nick"], list(welcome["people"].values())) == ("Bob B.", ["Ann", "Bob B."])
        assert welcome["history"] == []
        own_id = list(welcome["people"])[1]
        assert ann.read() == {"type": "joined", "id": own_id, "nick": "Bob B."}
        bob.socket.close()
        assert ann.read() == {"type": "left", "id": own_id, "nick": "Bob B."}

    def test_pages_and_plain_clients_read_each_other(self, room: Room) -> None:
        ann, plain = room.page("Ann"), room.plain()
        guest = ann.read()["nick"]
        assert re.fullmatch(r"guest-\d+", guest)
        ann.send("message", text=" Hello ", key="k1")
        own = ann.read()
        assert (own["type"], own["nick"], own["text"], own["key"]) == ("message", "Ann", "Hello", "k1")
        assert plain.socket.recv() == "Ann: Hello"
        plain.socket.send("Hi")
        answer = ann.read_until("message")
        assert (answer["type"], answer["nick"], answer["text"]) == ("message", guest, "Hi")

    def test_a_long_or_empty_text_of_a_plain_client_is_fit_for_pages(self, room: Room) -> None:
        ann, plain, other = room.page("Ann"), room.plain(), room.plain()
        plain.socket.send("")
        plain.socket.send("x" * 2001)
        assert other.socket.recv() == ""
        assert other.socket.recv() == "x" * 2001
        assert ann.read_until("message")["text"] == "x" * 1999 + "…"

    def test_a_late_comer_sees_the_latest_fifty_messages(self, room: Room) -> None:
        ann = room.page("Ann")
        for number in range(51):
            assert ann.say(str(number))["text"] == str(number)
        history = room.page().join("Bob")["history"]
        assert [message["text"] for message in history] == [str(number) for number in range(1, 51)]

    def test_a_nick_is_changed_by_joining_again(self, room: Room) -> None:
        ann, bob = room.page("Ann"), room.page("Bob")
        assert bob.join("Bobby")["nick"] == "Bobby"
        renamed = ann.read_until("renamed")
        assert (renamed["nick"], renamed["to"]) == ("Bob", "Bobby")
        late = room.page().join("Bob")
        assert (list(late["people"].values()), late["history"]) == (["Ann", "Bobby", "Bob"], [])

    def test_rooms_are_separate_and_listed(self) -> None:
        with server("chat") as chat, ExitStack() as stack:
            room = Room(chat, stack, "/chat/k%C3%BCche")
            ann, plain = room.page("Ann", "/chat/K%C3%BCche"), room.plain()
            in_lobby = room.page("Ann", "/chat")
            plain.socket.send("Hi")
            assert ann.read_until("message")["text"] == "Hi"
            assert in_lobby.say("Hello")["text"] == "Hello"
            assert ann.say("Yes?")["text"] == "Yes?"
            assert plain.socket.recv() == "Ann: Yes?"
            rooms = requests.get(f"http://{chat.address}/rooms", timeout=PATIENCE).json()
        assert rooms == {"küche": 2, "lobby": 1}

    @pytest.mark.parametrize("name", ["%20", "a%2Fb", "x" * 25, "%1B"])
    def test_a_bad_name_of_a_room_is_refused(self, chat: Server, room: Room, name: str) -> None:
        assert room.plain(path=f"/chat/{name}").closed()[0] == 1008
        answer = requests.get(f"http://{chat.address}/rooms/{name}", timeout=PATIENCE)
        assert answer.status_code == 404

    def test_a_room_has_one_address(self, chat: Server) -> None:
        answer = requests.get(f"http://{chat.address}/rooms/Kitchen", allow_redirects=False, timeout=PATIENCE)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/rooms/kitchen")

    def test_what_was_missed_is_sent_or_the_history_anew(self, room: Room) -> None:
        ann, back = room.page("Ann"), room.page()
        position = ann.say("one")["position"]
        ann.say("two")
        assert back.join("Bob", since=position)["text"] == "two"
        assert back.read()["recovered"] is True
        welcome = room.page().join("Cem", since=[7, "another"])
        assert (welcome["recovered"], [one["text"] for one in welcome["history"]]) == (False, ["one", "two"])

    @pytest.mark.parametrize("nick", ["ann", "ＡＮＮ", "Ann "])
    def test_a_nick_in_use_is_refused_and_the_old_one_stays(self, room: Room, nick: str) -> None:
        room.page("Ann")
        bob = room.page("Bob")
        error = bob.join(nick)
        assert (error["type"], error["code"]) == ("error", "nick")
        assert "already" in error["text"]
        assert room.page().join("Bob")["code"] == "nick"
        bob.send("message", text="still Bob")
        assert bob.read_until("message")["nick"] == "Bob"

    @pytest.mark.parametrize(
        ("nick", "problem"),
        [
            ("", "choose"),
            (" \n ", "choose"),
            (None, "text"),
            (["Ann"], "text"),
            ("x" * 25, "at most 24 characters; this one has 25"),
            ("Ann: hi", "colon"),
            ("Ann\u202egnp", "invisible"),
            ("A\x1b[31mnn", "invisible"),
            ("Guest-7", "reserved for the server"),
        ],
    )
    def test_a_bad_nick_is_refused_with_the_reason(self, room: Room, nick: object, problem: str) -> None:
        page = room.page()
        page.send("join", nick=nick)
        error = page.read()
        assert (error["type"], error["code"]) == ("error", "nick")
        assert problem in error["text"]
        assert page.join("Ann")["type"] == "welcome"

    @pytest.mark.parametrize(
        ("sent", "problem"),
        [
            ("hello", "not valid JSON"),
            ("", "not valid JSON"),
            ("[" * 60_000, "not valid JSON"),
            ('"text"', "JSON object"),
            ("{}", "JSON object"),
            ('{"type": 1}', "JSON object"),
            ('{"type": "dance"}', "must be “join” or “message”"),
            ('{"type": "message", "text": "\\ud800"}', "half a character"),
            ('{"type": "message", "text": "hi", "key": 1}', "“key” must be a text"),
            (json.dumps({"type": "join", "nick": "Bob", "session": "s" * 65}), "“session” must be a text"),
            ('{"type": "join", "nick": "Bob", "since": 1}', "“since” must be a position"),
            ('{"type": "join", "nick": "Bob", "since": [-1, ""]}', "“since” must be a position"),
            ('{"type": "message"}', "nothing in that message"),
            ('{"type": "message", "text": " "}', "nothing in that message"),
            (json.dumps({"type": "message", "text": "x" * 2001}), "at most 2000 characters"),
        ],
    )
    def test_what_makes_no_sense_is_answered_with_the_reason(
        self, room: Room, sent: str, problem: str
    ) -> None:
        ann = room.page("Ann")
        ann.socket.send(sent)
        error = ann.read()
        assert error["type"] == "error"
        assert problem in error["text"]
        ann.send("message", text="x" * 2000)
        assert ann.read()["type"] == "message"

    def test_an_error_names_the_message_it_is_about(self, room: Room) -> None:
        page = room.page()
        page.send("message", text="too early", key="k7")
        error = {"type": "error", "code": "nick", "text": "Join with a name first.", "key": "k7"}
        assert page.read() == error

    def test_a_client_that_has_not_joined_gets_nothing(self, room: Room) -> None:
        ann, lurker = room.page("Ann"), room.page()
        ann.send("message", text="hello")
        assert ann.read()["type"] == "message"
        assert lurker.join("Bob")["type"] == "welcome"

    def test_the_same_session_takes_its_place_back(self, room: Room) -> None:
        bob = room.page("Bob")
        lost, back = room.page(), room.page()
        assert lost.join("Ann", session="secret")["type"] == "welcome"
        lost_id = bob.read_until("joined")["id"]
        back.send("join", nick="Ann", session="secret")
        assert "Ann" in back.read_until("welcome")["people"].values()
        assert lost.closed()[0] == 4000
        assert bob.read_until("joined")["nick"] == "Ann"
        assert bob.read_until("left")["id"] == lost_id
        back.send("message", text="I am back")
        assert bob.read_until("message")["text"] == "I am back"

    def test_another_session_cannot_take_a_nick(self, room: Room) -> None:
        assert room.page().join("Ann", session="secret")["type"] == "welcome"
        assert room.page().join("Ann", session="guessed")["code"] == "nick"
        assert room.page().join("Ann")["code"] == "nick"


class TestTheChatsFiles:
    def test_the_page_allows_nothing_but_its_own_files(self, chat: Server) -> None:
        response = requests.get(f"http://{chat.address}/", timeout=PATIENCE)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<style" not in response.text
        assert not re.search(r"<script(?![^>]* src=)", response.text)
        assert 'maxlength="24"' in response.text
        assert 'data-limit="2000"' in response.text

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("chat.css", "text/css"),
            ("chat.js", "text/javascript"),
            ("view.js", "text/javascript"),
            ("connection.js", "text/javascript"),
            ("icon.svg", "image/svg+xml"),
        ],
    )
    def test_its_files_load_nothing_from_elsewhere(self, chat: Server, name: str, kind: str) -> None:
        response = requests.get(f"http://{chat.address}/static/{name}", timeout=PATIENCE)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith(kind)
        assert set(re.findall(r"https?://[^\"' ]+", response.text)) <= {"http://www.w3.org/2000/svg"}

    def test_the_port_can_come_from_the_environment(self) -> None:
        port = free_port()
        with Program(*python("chat/server.py"), env={"PORT": str(port)}) as program:
            assert program.expect(r"Listening on port (\d+)")[1] == str(port)


class TestAServerThatCannotStart:
    """It says so in one line."""

    @staticmethod
    def run(name: str, *arguments: str) -> str:
        with Program(*python(f"{name}/server.py"), *arguments) as program:
            assert program.wait() == 1
            [line] = program.output.splitlines()
        return line

    @pytest.mark.parametrize("name", ["echo", "chat"])
    def test_its_port_is_in_use(self, name: str) -> None:
        with socket.create_server((HOST, 0)) as other:
            port = str(other.getsockname()[1])
            line = self.run(name, "--host", HOST, "--port", port)
        assert line == (
            f"server.py: [Errno {errno.EADDRINUSE}] Address already in use: ('127.0.0.1', {port}); end the"
            " program that listens there, or choose another port (0 picks a free one)"
        )

    @pytest.mark.parametrize("name", ["echo", "chat"])
    def test_its_host_is_unknown(self, name: str) -> None:
        line = self.run(name, "--host", "nowhere.invalid", "--port", "0")
        assert line.endswith("; check the host name, or write '' for every address of this machine")
        assert "'nowhere.invalid'" in line

    @pytest.mark.parametrize("name", ["echo", "chat"])
    def test_its_port_does_not_exist(self, name: str) -> None:
        line = self.run(name, "--port", "65536")
        assert line == "server.py: listener ('', 65536): the port must be from 0 (a free one) to 65535"

    def test_its_files_are_wrong(self, certificates: Certificates) -> None:
        line = self.run("echo", "--port", "0", "--certfile", certificates.keyfile)
        assert line.startswith(f"server.py: certfile {certificates.keyfile!r} has a key and no certificate")


def test_the_tests_of_the_chat_pass() -> None:
    with Program(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".", cwd=EXAMPLES / "chat"
    ) as program:
        assert program.wait() == 0, program.output
    assert "5 passed" in program.output
