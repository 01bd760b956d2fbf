"""The chat on three processes: ``python examples/cluster/cluster.py``, or ``make cluster``.

Starts a Redis server, three times ``examples/chat/server.py``, and HAProxy, which gives each connection to
one of them. Without HAProxy, gunicorn shares a socket among them. Whatever dies is started again. What the
processes say, and what Redis keeps, is in a temporary directory while this runs.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import gevent
from gevent.event import Event
from part import Part, StartError, say

HERE = Path(__file__).parent
CHAT = HERE.parent / "chat"
WORKERS = 3
PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

NO_REDIS = """redis-server is not installed, which the processes talk to each other through:
    apt-get install redis-server      on Debian and Ubuntu
    brew install redis                on macOS"""


def cluster(port: int, folder: Path, balancer: str) -> list[Part]:
    """Return the parts; the last one needs the others, and must come after them."""
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if redis is None:
        raise StartError(NO_REDIS)
    socket_file = f"{folder}/redis.sock"
    url = f"unix://{socket_file}"
    options = ("--unixsocket", socket_file, "--dir", str(folder))
    first = Part(
        "redis-server", [redis, str(HERE / "redis.conf"), *options], socket_file, folder / "redis.log", {}
    )
    rest = behind_haproxy if balancer == "haproxy" else under_gunicorn
    return [first, *rest(port, folder, {"GEVENTKWS_REDIS": url})]


def behind_haproxy(port: int, folder: Path, env: dict[str, str]) -> list[Part]:
    """Return the workers, each at a Unix-domain socket, and HAProxy in front of them."""
    parts = []
    for number in range(1, WORKERS + 1):
        path = f"{folder}/worker-{number}.sock"
        command = (sys.executable, str(CHAT / "server.py"), "--host", f"unix:{path}")
        parts.append(Part(f"worker-{number}", command, path, folder / f"worker-{number}.log", env))
    haproxy = shutil.which("haproxy", path=PROGRAMS)
    if haproxy is None:
        raise StartError("haproxy is not installed: install it, or choose --balancer gunicorn")
    command = (haproxy, "-db", "-f", str(HERE / "haproxy.cfg"))
    places = {"PORT": str(port), "FOLDER": str(folder)}
    return [*parts, Part("haproxy", command, ("127.0.0.1", port), folder / "haproxy.log", places)]


def under_gunicorn(port: int, folder: Path, env: dict[str, str]) -> list[Part]:
    """Return gunicorn, which starts the workers itself, and replaces those that die."""
    options = ("--worker-class", "geventkws.gunicorn.Worker", "--workers", str(WORKERS), "--chdir", str(CHAT))
    command = (sys.executable, "-m", "gunicorn", *options, "--bind", f":{port}", "server:app")
    return [Part("gunicorn", command, ("127.0.0.1", port), folder / "gunicorn.log", env)]


def check_port(port: int) -> None:
    """Raise ``StartError`` if somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise StartError(
                f"cannot listen on port {port}: {error.strerror}; choose another one with PORT="
            ) from None


def run(port: int, balancer: str) -> str | None:
    """Run the cluster until this greenlet is killed; return why it cannot be started."""
    with tempfile.TemporaryDirectory(prefix="geventkws-cluster-") as folder:
        parts: list[Part] = []
        try:
            check_port(port)
            parts += cluster(port, Path(folder), balancer)
            for some in (parts[:-1], parts[-1:]):
                start(some)
            say(f"\nOpen http://localhost:{port}/ in two windows, and kill -9 whichever process you like.")
            say(f"Logs are in {folder}. Ctrl-C ends everything.")
            keep(parts)
        except StartError as error:
            return str(error)
        finally:
            stop(parts)
    return None


def start(parts: Sequence[Part]) -> None:
    """Start some parts at the same time; raises ``StartError``."""
    for part in parts:
        part.start()
    for part in parts:
        part.wait_until_it_listens()


def keep(parts: Sequence[Part]) -> None:
    """Start again what dies, until this greenlet is killed; then stop also what is just being started."""
    keepers = [gevent.spawn(part.keep) for part in parts]
    try:
        gevent.joinall(keepers)
    finally:
        say("Ending everything")
        stop(parts)
        gevent.joinall(keepers)


def stop(parts: Sequence[Part]) -> None:
    """Stop everything: the last part, then those that it needs, and Redis when nobody needs it any more."""
    for some in (parts[-1:], parts[1:-1], parts[:1]):
        for part in some:
            part.ask_to_stop()
        for part in some:
            part.stop()


def port_number(text: str) -> int:
    """Return the number of a port."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def main() -> None:
    """Run until SIGINT (Ctrl-C), SIGTERM or SIGHUP."""
    has_haproxy = shutil.which("haproxy", path=PROGRAMS) is not None
    parser = argparse.ArgumentParser(description="The chat on three processes, with Redis.")
    parser.add_argument(
        "--port", type=port_number, default=os.environ.get("PORT", "8080"), help="(default: $PORT, or 8080)"
    )
    parser.add_argument(
        "--balancer",
        choices=["haproxy", "gunicorn"],
        default="haproxy" if has_haproxy else "gunicorn",
        help="what gives the connections to the processes (default: haproxy, if it is installed)",
    )
    arguments = parser.parse_args()
    asked_to_stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        gevent.signal_handler(number, asked_to_stop.set)
    running = gevent.spawn(run, arguments.port, arguments.balancer)
    running.link(lambda _: asked_to_stop.set())
    asked_to_stop.wait()
    running.kill()
    if isinstance(running.value, str):
        sys.exit(f"{parser.prog}: {running.value}")


if __name__ == "__main__":
    main()
