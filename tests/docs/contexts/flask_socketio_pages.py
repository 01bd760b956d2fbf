"""Applications with Flask-SocketIO."""

from __future__ import annotations

from tests.docs.contexts.context import Context, connect
from tests.waiting import PATIENCE


class FlaskSocketIOServer(Context):
    """A program with Flask-SocketIO."""

    def visit(self, address: str) -> None:
        """Call the event: 0 opens, 40 connects, 42 is an event, and 43 its answer."""
        client = connect(address, "/socket.io/?EIO=4&transport=websocket")
        assert str(client.recv()).startswith("0{")
        client.send("40")
        assert str(client.recv()).startswith("40{")
        client.send('420["add",1,2]')
        assert client.recv() == "430[3]"
        client.close(timeout=PATIENCE)
