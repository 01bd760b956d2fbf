"""Takes the pictures of the chat example's page: ``python -m docs.chat_pictures``.

Writes ``pictures/chat-light.png`` and ``pictures/chat-dark.png``, beside this program. Like the tests of the
page, it needs Chromium and its driver.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import websocket

from tests.clients.chat_page import ChatPage
from tests.clients.page import chromium
from tests.programs import server
from tests.waiting import PATIENCE

PICTURES = Path(__file__).parent / "pictures"
SCHEMES = ("light", "dark")
WIDTH, HEIGHT, SCALE = 760, 490, 2

OTHERS = ("Ben", "Hilde")
CONVERSATION = (
    ("Ben", "The tide comes in at six."),
    ("Ann", "Three hours, then. Who is coming along?"),
    ("Hilde", "I am, if somebody has boots for me."),
    ("Ann", "There are three pairs in the kitchen."),
)
"""Who says what; Ann is the one who looks at the page."""


def person(address: str, nick: str, room: str = "lobby") -> websocket.WebSocket:
    """Let somebody into a room, and wait until they are in."""
    connection = websocket.create_connection(
        f"ws://{address}/chat/{room}", timeout=PATIENCE, subprotocols=["chat.json"]
    )
    connection.send(json.dumps({"type": "join", "nick": nick}))
    connection.recv()
    return connection


def converse(page: ChatPage, address: str) -> None:
    """Have everybody say their lines, Ann on the page."""
    others = {nick: person(address, nick) for nick in OTHERS}
    cook = person(address, "Cem", "kitchen")
    page.join("Ann")
    page.wait(lambda: page.texts("#rooms .count") == ["1", "3"], "how many are in each room")
    for nick, text in CONVERSATION:
        if nick == "Ann":
            page.say(text)
            page.expect_message("You", text)
            page.wait(lambda: page.texts("#messages [data-delivery]") == [], "that it is sent")
        else:
            others[nick].send(json.dumps({"type": "message", "text": text}))
            page.expect_message(nick, text)
    cook.close()


def main() -> None:
    """Take a picture of one conversation in each colour scheme."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as profile, server("chat") as chat:
        driver = chromium(Path(profile))
        try:
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
            driver.get(f"http://{chat.address}/")
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            page = ChatPage(driver)
            converse(page, chat.address)
            driver.execute_script("document.activeElement.blur()")
            for scheme in SCHEMES:
                feature = {"name": "prefers-color-scheme", "value": scheme}
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
                driver.save_screenshot(str(PICTURES / f"chat-{scheme}.png"))
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
