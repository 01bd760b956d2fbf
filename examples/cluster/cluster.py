"""An example on several processes: ``make cluster`` runs the chat on three, ``make live`` the page on two.

``python examples/cluster/cluster.py chat --workers 3`` starts a Redis server, three times the application of
``examples/chat/server.py``, and HAProxy, which gives each connection to one of them. Without HAProxy,
gunicorn shares a socket among them. The script ``publish.py`` of the example runs as well, if it has one.
Whatever dies is started again. What the processes say, and what Redis keeps, is in a temporary directory
while this runs.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import os
import secrets
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
SERVE = (sys.executable, "-m", "geventkws", "serve", "server:app")
PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

NO_REDIS = """redis-server is not installed, which the processes talk to each other through:
    apt-get install redis-server      on Debian and Ubuntu
    brew install redis                on macOS"""


def cluster(example: Path, workers: int, port: int, folder: Path, balancer: str) -> list[Part]:
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
    # A session of Flask that one process has signed must be valid for all.
    env = {"GEVENTKWS_REDIS": url, "FLASK_SECRET_KEY": secrets.token_urlsafe()}
    parts = [first, *publisher(example, folder, env)]
    served = behind_haproxy if balancer == "haproxy" else under_gunicorn
    return [*parts, *served(example, workers, port, folder, env)]


def publisher(example: Path, folder: Path, env: dict[str, str]) -> list[Part]:
    """Return the script that publishes, if the example has one."""
    script = example / "publish.py"
    command = (sys.executable, str(script))
    return [Part("publish.py", command, None, folder / "publish.log", env)] if script.exists() else []


def behind_haproxy(example: Path, workers: int, port: int, folder: Path, env: dict[str, str]) -> list[Part]:
    """Return the workers, each at a Unix-domain socket, and HAProxy in front of them."""
    parts, servers = [], []
    for number in range(1, workers + 1):
        name, path = f"worker-{number}", f"{folder}/worker-{number}.sock"
        options = ("--app-dir", str(example), "--bind", f"unix:{path}")
        parts.append(Part(name, (*SERVE, *options), path, folder / f"{name}.log", env))
        servers.append(f'    server {name} "unix@{path}"\n')
    haproxy = shutil.which("haproxy", path=PROGRAMS)
    if haproxy is None:
        raise StartError("haproxy is not installed: install it, or choose --balancer gunicorn")
    configuration = folder / "haproxy.cfg"
    configuration.write_text((HERE / "haproxy.cfg").read_text() + "".join(servers))
    command = (haproxy, "-db", "-f", str(configuration))
    return [
        *parts,
        Part("haproxy", command, ("127.0.0.1", port), folder / "haproxy.log", {"PORT": str(port)}),
    ]


def under_gunicorn(example: Path, workers: int, port: int, folder: Path, env: dict[str, str]) -> list[Part]:
    """Return gunicorn, which starts the workers itself, and replaces those that die."""
    options = ("--workers", str(workers), "--app-dir", str(example), "--bind", f":{port}")
    return [Part("gunicorn", (*SERVE, *options), ("127.0.0.1", port), folder / "gunicorn.log", env)]


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


def run(example: Path, workers: int, port: int, balancer: str) -> str | None:
    """Run the cluster until this greenlet is killed; return why it cannot be started."""
    with tempfile.TemporaryDirectory(prefix="geventkws-cluster-") as folder:
        parts: list[Part] = []
        try:
            check_port(port)
            parts += cluster(example, workers, port, Path(folder), balancer)
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
    parser = argparse.ArgumentParser(description="An example on several processes, with Redis.")
    parser.add_argument(
        "example", nargs="?", choices=["chat", "live"], default="chat", help="(default: chat)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(1, 17),
        default=3,
        metavar="N",
        help="how many processes serve it",
    )
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
    running = gevent.spawn(
        run, HERE.parent / arguments.example, arguments.workers, arguments.port, arguments.balancer
    )
    running.link(lambda _: asked_to_stop.set())
    asked_to_stop.wait()
    running.kill()
    if isinstance(running.value, str):
        sys.exit(f"{parser.prog}: {running.value}")


if __name__ == "__main__":
    main()
