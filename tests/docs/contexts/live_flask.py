"""A live Flask application, in which clients reconnect by themselves."""

from __future__ import annotations

import json

import requests

from tests.docs.contexts.context import Context, connect
from tests.waiting import PATIENCE


class LiveFlask(Context):
    """Whoever has logged in gets what was said, and what is said."""

    def visit(self, address: str) -> None:
        stranger = connect(address, "/live")
        stranger.send('{"id":1,"connect":{}}')
        assert json.loads(stranger.recv())["error"]["code"] == 101
        stranger.close(timeout=PATIENCE)
        browser = requests.Session()
        browser.post(f"http://{address}/login", {"user": "ann"}, timeout=PATIENCE)
        assert "newSubscription" in browser.get(f"http://{address}/", timeout=PATIENCE).text
        browser.post(f"http://{address}/say", {"text": "first"}, timeout=PATIENCE)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        client = connect(address, "/live", cookie=cookie)
        subscribe = {"channel": "chat:lobby", "recover": True}
        client.send('{"id":1,"connect":{}}\n' + json.dumps({"id": 2, "subscribe": subscribe}))
        assert json.loads(client.recv())["connect"]["client"]
        publications = json.loads(client.recv())["subscribe"]["publications"]
        assert publications == [{"data": {"user": "ann", "text": "first"}, "offset": 1}]
        browser.post(f"http://{address}/say", {"text": "second"}, timeout=PATIENCE)
        assert json.loads(client.recv())["push"]["pub"]["data"]["text"] == "second"
        client.close(timeout=PATIENCE)
        browser.close()
