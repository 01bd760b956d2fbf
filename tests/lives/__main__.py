"""``python -m tests.lives``: lets connections live and end in every way, and shows what they leave behind."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging
import sys
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from gevent.pool import Pool

import geventkws
from geventkws import WebSocketServer
from tests.certificates import Certificates
from tests.lives.census import Census, left, take
from tests.lives.endings import PLAIN, Life, over_tls
from tests.lives.server import serve
from tests.waiting import wait_until

HEADING = "ending                     lives  objects  fds greenlets watchers    KiB references"
AT_ONCE = 32
"""How many connections live at the same time."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lives", default=100_000, show_default=True, help="How many in all.")
@click.option("--ending", "names", multiple=True, help="Only this one (may be given several times).")
def main(lives: int, names: tuple[str, ...]) -> None:
    """Let connections live and end in every way, and count what they leave behind.

    That is objects, descriptors, greenlets, watchers, memory and, in a debug build of Python, references, of
    which compiled code could lose some without an object of its own. GEVENTKWS_PURE and GEVENT_LOOP in the
    environment choose the backend and the event loop. Status 1 means that something was left.
    """
    logging.disable()
    with TemporaryDirectory() as directory:
        certificates = Certificates(Path(directory))
        plain, tls = serve(), serve(ssl_context=certificates.server())
        endings = {name: (life, plain) for name, life in PLAIN.items()}
        endings |= {name: (life, tls) for name, life in over_tls(certificates.client()).items()}
        chosen = {name: endings[name] for name in names or endings}
        print(f"geventkws, {geventkws.BACKEND} backend, {type(plain.loop).__module__}")
        print(HEADING)
        bad = [name for name, each in chosen.items() if not show(name, *each, lives // len(chosen))]
        for server in (plain, tls):
            server.stop(timeout=1)
    if bad:
        sys.exit(f"something was left by: {', '.join(bad)}")


def show(name: str, life: Life, server: WebSocketServer, lives: int) -> bool:
    """Let so many connections live, print what they left, and return whether that was nothing."""
    live(life, server, lives // 10 + AT_ONCE)  # what is made once is there now
    before = take()
    live(life, server, lives)
    after = take()
    faults = list(left(before, after, lives))
    print(line(name, lives, before, after), *faults, flush=True)
    return not faults


def live(life: Life, server: WebSocketServer, lives: int) -> None:
    """Let so many connections live, some of them at once, and wait until the server has forgotten them."""
    ports = repeat(server.server_port, lives)
    pool: Any = Pool(AT_ONCE)
    for _ in pool.imap_unordered(life, ports, maxsize=AT_ONCE):
        pass
    wait_until(lambda: not server._connections.peers)


def line(name: str, lives: int, before: Census, after: Census) -> str:
    """Return a line of the table."""
    more = {key: after[key] - before[key] for key in after}
    return (
        f"{name:24} {lives:7} {more['objects']:8} {more['descriptors']:4} {more['greenlets']:9}"
        f" {more['watchers']:8} {more['KiB']:6} {more.get('references', '-'):>10}"
    )


if __name__ == "__main__":
    main(prog_name="python -m tests.lives")
