"""Two clients of python-socketio, which try everything that the application offers.

``PORT OTHER TRANSPORT...``: the ports of one server, or of two, and each way to connect.
"""

import faulthandler
import queue
import sys
from typing import Any

import socketio

PATIENCE = 20.0
RETRY = 0.1
faulthandler.dump_traceback_later(2 * PATIENCE)


class Client:
    """A connected client that keeps the events of the namespace ``/`` in order of arrival."""

    def __init__(self, port: str, transport: str) -> None:
        self.events: dict[str, queue.Queue[Any]] = {
            name: queue.Queue() for name in ("welcome", "heard", "left", "reversed", "told", "disconnect")
        }
        self.client = socketio.Client(reconnection=False)
        for name, kept in self.events.items():
            self.client.on(name, kept.put)
        self.client.connect(
            f"http://127.0.0.1:{port}",
            transports=None if transport == "upgrade" else [transport],
            namespaces=["/", "/other"],
            wait_timeout=PATIENCE,
        )
        self.sid = self.expect("welcome")

    def expect(self, event: str) -> Any:
        return self.events[event].get(timeout=PATIENCE)

    def wait_until_reached(self) -> None:
        """Wait until events of other processes arrive: those from before its own has subscribed are lost."""
        for _ in range(round(PATIENCE / RETRY)):
            self.client.emit("hear")
            try:
                self.events["heard"].get(timeout=RETRY)
            except queue.Empty:
                continue
            return
        raise TimeoutError("no event of another process arrives")


def try_everything(port: str, other: str, transport: str) -> None:
    ann, bob = Client(port, transport), Client(other, transport)
    for client in (ann, bob):
        client.wait_until_reached()
    assert ann.client.transport() == ("polling" if transport == "polling" else "websocket")
    assert ann.client.call("add", (1, 2), timeout=PATIENCE) == 3
    assert ann.client.call("echo", "text", namespace="/other", timeout=PATIENCE) == "other text"
    ann.client.emit("reverse", {"data": b"\0\1\2"})
    assert ann.expect("reversed") == {"data": b"\2\1\0"}
    for client in (ann, bob):
        assert client.client.call("join", "room", timeout=PATIENCE) == "joined"
    bob.client.emit("tell", ("room", "x" * 100_000))
    assert ann.expect("told") == bob.expect("told") == "x" * 100_000
    bob.client.disconnect()
    while (left := ann.expect("left"))[0] != bob.sid:
        pass  # that was a client from before
    # python-socketio does not wait until it has handled the first before it notices the second.
    assert left[1] in ("client disconnect", "transport close")
    ann.client.emit("go")
    ann.expect("disconnect")
    ann.client.disconnect()
    print(f"{transport} works", flush=True)


PORT, OTHER, *TRANSPORTS = sys.argv[1:]
for name in TRANSPORTS:
    try_everything(PORT, OTHER, name)
print("everything works", flush=True)
