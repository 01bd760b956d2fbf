"""Runs the checks on a Python client: ``python -m tests.clients.python_checks <client> <address>``.

They are those of ``browser/checks.js``, with the same names. Writes what was wrong, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable

from tests.clients.python_peers import PEERS, Closed, Peer, Pinging, Refused
from tests.waiting import PATIENCE

MEBI = 1024 * 1024
EMOJI = "Grüße 👩‍👩‍👧‍👦 𝄞 \U0010ffff \ufffd \0 end"
BYTES = bytes(range(256)) * 300

IDLE = 3.0
"""Seconds without a message on a connection that the server drops after 1.5 seconds of silence."""

SLOW = ("its_pongs_keep_an_idle_connection", "its_own_pings_are_answered")
"""Checks that mostly wait, and so run beside the others."""


class Checks:
    """The checks of a client, for the server at ``address``."""

    def __init__(self, client: type[Peer], address: str) -> None:
        self.client = client
        self.address = address

    def connect(self, path: str, *subprotocols: str, compression: bool = False) -> Peer:
        return self.client(self.address + path, subprotocols, compression)

    def echoed(self, *messages: str | bytes, path: str = "/echo", compression: bool = False) -> None:
        peer = self.connect(path, compression=compression)
        for message in messages:
            peer.send(message)
            answer = peer.receive()
            assert answer == message, f"{answer[:100]!r} came back for {message[:100]!r}"
        peer.close()

    def ending(self, name: str) -> object:
        peer = self.connect("/commands")
        peer.send(json.dumps(["ending", name]))
        found: object = json.loads(peer.receive())
        peer.close()
        return found

    def closed(self, path: str, message: str | bytes) -> tuple[int, str]:
        peer = self.connect(path)
        peer.send(message)
        try:
            received = peer.receive()
        except Closed as closed:
            return closed.code, closed.reason
        raise AssertionError(f"not closed, but received {received[:100]!r}")

    def text(self) -> None:
        self.echoed("Hello")

    def emoji_and_the_planes_beyond_the_first(self) -> None:
        self.echoed(EMOJI)

    def binary(self) -> None:
        self.echoed(BYTES)

    def empty_messages(self) -> None:
        self.echoed("", b"", "")

    def a_mebibyte_of_text_both_ways(self) -> None:
        self.echoed("wörd" * (MEBI // 5) + ".")

    def a_mebibyte_of_bytes_both_ways(self) -> None:
        self.echoed((BYTES * 14)[:MEBI])

    def a_message_too_large_closes_with_1009(self) -> None:
        code, _ = self.closed("/echo", bytes(MEBI + 1))
        assert code == 1009, code

    def a_thousand_messages_in_order(self) -> None:
        peer = self.connect("/echo")
        for number in range(1000):
            peer.send(f"message {number}")
        assert [peer.receive() for _ in range(1000)] == [f"message {number}" for number in range(1000)]
        peer.close()

    def a_thousand_messages_of_the_server_in_order(self) -> None:
        peer = self.connect("/commands")
        peer.send('["count", 1000]')
        assert [peer.receive() for _ in range(1000)] == [str(number) for number in range(1000)]
        peer.close()

    def the_subprotocol_that_both_speak(self) -> None:
        peer = self.connect("/echo", "soap", "chat")
        assert peer.subprotocol == "chat", peer.subprotocol
        peer.close()

    def no_subprotocol_unless_asked_for(self) -> None:
        peer = self.connect("/echo")
        assert not peer.subprotocol, peer.subprotocol
        peer.close()

    def compression(self) -> None:
        peer = self.connect("/compressed", compression=True)
        assert peer.extensions.startswith("permessage-deflate"), peer.extensions
        peer.close()
        page = json.dumps([{"id": number, "name": f"Grüße {number}"} for number in range(1000)])
        self.echoed(page, "", page, "short", EMOJI, BYTES, path="/compressed", compression=True)

    def no_compression_unless_the_service_wants_it(self) -> None:
        peer = self.connect("/echo", compression=True)
        assert not peer.extensions, peer.extensions
        peer.close()

    def its_close_code_and_reason_reach_the_server(self) -> None:
        name = uuid.uuid4().hex
        self.connect(f"/presence/{name}").close(4321, "Auf Wiederhören 👋")
        ending = self.ending(name)
        assert ending == [4321, "Auf Wiederhören 👋"], ending

    def the_servers_close_code_and_reason_reach_it(self) -> None:
        ending = self.closed("/commands", '["close", 4999, "Genug für heute 👋"]')
        assert ending == (4999, "Genug für heute 👋"), ending

    def the_servers_normal_close_reaches_it(self) -> None:
        code, _ = self.closed("/commands", '["close"]')
        assert code == 1000, code

    def a_drop_tells_its_code_and_reason(self) -> None:
        ending = self.closed("/commands", '["drop", 1008, "Out!"]')
        assert ending == (1008, "Out!"), ending

    def a_lost_server_is_seen_as_1006(self) -> None:
        code, _ = self.closed("/commands", '["vanish"]')
        assert code == 1006, code

    def a_refused_upgrade_fails(self) -> None:
        for path, status in (("/refused", 403), ("/nobody/is/here", 404)):
            try:
                self.connect(path)
            except Refused as refused:
                found = refused.status
            else:
                found = 101
            assert found == status, f"{found} for {path}"

    def its_pongs_keep_an_idle_connection(self) -> None:
        peer = self.connect("/idle")
        answers: list[str | bytes] = []
        receiver = threading.Thread(target=lambda: answers.append(peer.receive()), daemon=True)
        receiver.start()  # some clients answer pings only while they wait for a message
        receiver.join(IDLE)
        assert receiver.is_alive(), "the connection did not last"
        peer.send("")
        receiver.join(PATIENCE)
        messages, size = json.loads(answers[0])
        assert messages == 1, messages
        assert size > 6 + 6, f"the server received just {size} bytes, in which there is no pong"
        peer.close()

    def its_own_pings_are_answered(self) -> None:
        peer = self.connect("/echo")
        assert isinstance(peer, Pinging)
        never, end = threading.Event(), time.monotonic() + PATIENCE
        while not peer.latency():
            assert time.monotonic() < end, "there was no pong"
            never.wait(0.05)
        peer.send("still here")
        assert peer.receive() == "still here"
        peer.close()


def main(client: str, address: str, *names: str) -> None:
    """Run the checks with these names, and write what was wrong with each; empty if nothing was."""
    checks = Checks(PEERS[client], address)
    results: dict[str, str] = {}

    def run(name: str) -> None:
        check: Callable[[], None] = getattr(checks, name)
        try:
            check()
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
        else:
            results[name] = ""

    waiting = [threading.Thread(target=run, args=(name,)) for name in names if name in SLOW]
    for thread in waiting:
        thread.start()
    for name in names:
        if name not in SLOW:
            run(name)
    for thread in waiting:
        thread.join()
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
