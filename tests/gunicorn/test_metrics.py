"""The metrics of several workers, as the guide says."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.gunicorn.conftest import Start
from tests.programs import ROOT
from tests.raw import close_frame
from tests.waiting import wait_until

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("measured")]

GUIDE = (ROOT / "docs" / "how-to" / "metrics.md").read_text()

BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_all_workers_are_counted_and_none_that_has_ended(
    start: Start, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    [conf] = [block for block in BLOCKS if "def child_exit" in block]
    directory = tmp_path / "metrics"
    directory.mkdir()
    server = start(*preload, conf=conf, workers=2, env={"PROMETHEUS_MULTIPROC_DIR": str(directory)})
    before = server.booted()
    clients = [server.connect("/echo") for _ in range(8)]

    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0

    wait_until(lambda: value('geventkws_websocket_connections{service="/echo"}') == 8)
    server.signal(signal.SIGHUP)
    for client in clients:
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
    after = server.booted()
    assert not set(before) & set(after)
    wait_until(lambda: value('geventkws_websocket_connections{service="/echo"}') == 0)
    closed = 'geventkws_websocket_connections_closed_total{code="1001",service="/echo"}'
    wait_until(lambda: value(closed) == 8)
    clients = [server.connect("/echo") for _ in range(4)]
    wait_until(lambda: value('geventkws_websocket_connections{service="/echo"}') == 4)
    for pid in after:
        os.kill(pid, signal.SIGKILL)
    server.booted()
    wait_until(lambda: value('geventkws_websocket_connections{service="/echo"}') == 0)
