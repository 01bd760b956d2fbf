"""Where a server can listen: Unix-domain sockets, both versions of IP, sockets passed by systemd."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from geventkws import ServiceRegistry, WebSocketServer
from geventkws.net.listeners import UnixAddress, shown, unix_path
from tests.integration.conftest import Recorder
from tests.programs import ROOT
from tests.raw import RawClient
from tests.waiting import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: own\r\nConnection: close\r\n\r\n"


UID, GID = os.geteuid(), os.getegid()
NOBODY = 65534

# Only root may give files away.
OWNERS = [(f"{UID}:{GID}", (UID, GID)), (f":{GID}", (UID, GID)), (pwd.getpwuid(UID).pw_name, (UID, GID))]
if UID == 0:
    OWNERS += [
        ("1234:5678", (1234, 5678)),
        (":5678", (0, 5678)),
        ("1234:", (1234, GID)),
        ("nobody", (NOBODY, GID)),
    ]


def tell(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REMOTE_ADDR']} {environ['SERVER_NAME']} {environ['SERVER_PORT']}".encode()]


def ask(family: int, address) -> str:
    sock = socket.socket(family)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    with RawClient(0, sock=sock) as client:
        client.send(GET)
        client.read_head()
        return client.read_to_end().decode()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    # The path of a Unix-domain socket must be short (unix(7)), and pytest's directories are deep.
    os.chdir(tmp_path)
    yield "app.sock"
    os.chdir(ROOT)


class TestUnixSockets:
    def test_http_and_websockets_are_served(self, path: str) -> None:
        service, services = Recorder(), ServiceRegistry()
        services.register(service, "service")
        server = WebSocketServer(f"unix:{path}", tell, services)
        server.start()
        try:
            assert ask(socket.AF_UNIX, path) == " localhost 80"
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(path)
            with RawClient(0, "/service", sock=sock) as client:
                assert client.head.startswith("HTTP/1.1 101")
                service.expect("connected")
                assert service.connections[0].request.remote_address == ""
        finally:
            server.stop(timeout=1)
        assert not os.path.exists(path)

    def test_its_peers_can_be_trusted(self, path: str) -> None:
        server = WebSocketServer(f"unix:{path}", tell, trusted_proxies=["unix"])
        server.start()
        with RawClient(0, sock=self._connected(path)) as client:
            client.send(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"))
            client.read_head()
            assert client.read_to_end() == b"192.0.2.1 localhost 80"
        server.stop(timeout=1)

    @staticmethod
    def _connected(path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(path)
        return sock

    def test_a_socket_left_behind_is_replaced(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        server = WebSocketServer(f"unix:{path}", tell)
        server.start()
        assert ask(socket.AF_UNIX, path)
        server.stop(timeout=1)

    def test_a_socket_in_use_is_not(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            with pytest.raises(OSError, match=r"in use: 'app\.sock'"):
                WebSocketServer(f"unix:{path}", tell).start()
            assert os.path.exists(path)

    def test_a_file_in_the_way_is_not(self, path: str) -> None:
        Path(path).write_text("precious")
        with pytest.raises(OSError, match=r"in use: 'app\.sock'"):
            WebSocketServer(f"unix:{path}", tell).start()
        assert Path(path).read_text() == "precious"

    def test_the_file_of_a_successor_is_left(self, path: str) -> None:
        server = WebSocketServer(f"unix:{path}", tell)
        server.start()
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(path)
            server.stop(timeout=1)
            assert os.path.exists(path)

    def test_a_name_may_be_abstract(self) -> None:
        if sys.platform != "linux":
            pytest.skip("only Linux has abstract names")
        name = f"geventkws-{os.getpid()}"
        server = WebSocketServer(f"unix:@{name}", tell)
        server.start()
        assert ask(socket.AF_UNIX, f"\0{name}") == " localhost 80"
        server.stop(timeout=1)

    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
    @pytest.mark.parametrize("umask", [0o000, 0o077])
    def test_its_file_has_the_requested_mode_whatever_the_umask(
        self, path: str, mode: int, umask: int
    ) -> None:
        before = os.umask(umask)
        try:
            server = WebSocketServer(f"unix:{path}", tell, unix_socket_mode=mode)
            server.start()
            assert os.umask(umask) == umask, (
                "the umask is the whole process's, and none of the server's business"
            )
            assert stat.S_IMODE(os.stat(path).st_mode) == mode
            assert ask(socket.AF_UNIX, path)
            server.stop(timeout=1)
        finally:
            os.umask(before)

    def test_nobody_can_connect_before_it_has_its_mode_and_its_owner(self, path: str) -> None:
        """At each system call on the way, a client is refused, or finds the file as it should be."""
        seen: list[tuple[str, bool, int]] = []

        def look(frame: object, event: str, argument: Any) -> None:
            if event == "c_return" and os.path.exists(path):
                name = getattr(argument, "__name__", "")
                with socket.socket(socket.AF_UNIX) as probe:
                    seen.append((name, probe.connect_ex(path) == 0, stat.S_IMODE(os.lstat(path).st_mode)))

        address = UnixAddress(path, 0o600, (os.getuid(), os.getgid()))
        sys.setprofile(look)
        try:
            listener = address.bind(16)
        finally:
            sys.setprofile(None)
        with listener:
            names = [name for name, _, _ in seen]
            assert names.index("bind") < names.index("chown") < names.index("chmod") < names.index("listen")
            assert {mode for _, connected, mode in seen if connected} == {0o600}
            assert {connected for _, connected, mode in seen if mode != 0o600} == {False}

    @pytest.mark.parametrize(("owner", "numbers"), OWNERS)
    def test_its_file_has_the_requested_owner(self, path: str, owner: str, numbers: tuple[int, int]) -> None:
        server = WebSocketServer(f"unix:{path}", tell, unix_socket_owner=owner)
        server.start()
        status = os.stat(path)
        assert (status.st_uid, status.st_gid) == numbers
        server.stop(timeout=1)

    def test_an_owner_that_may_not_be_given_is_an_error_and_leaves_no_file(self, path: str) -> None:
        os.chmod(".", 0o777)
        if UID == 0:
            os.seteuid(NOBODY)  # who may not give files away
        try:
            with pytest.raises(PermissionError, match=r"unix_socket_owner cannot be set: .*: 'app\.sock'"):
                UnixAddress(path, owner=(1234, -1)).bind(16)
        finally:
            os.seteuid(UID)
        assert not os.path.exists(path)

    def test_an_owner_must_exist(self, path: str) -> None:
        for owner in ("no-such-user", ":no-such-group", f"{2**32 - 1}", f"0:{2**32 - 1}"):
            with pytest.raises(ValueError, match=r"option 'unix_socket_owner': .*(no-such-|4294967295)"):
                WebSocketServer(f"unix:{path}", tell, unix_socket_owner=owner)

    @pytest.mark.parametrize("listener", [("127.0.0.1", 0), "unix:@abstract", "127.0.0.1:0"])
    @pytest.mark.parametrize("option", [{"unix_socket_mode": 0o600}, {"unix_socket_owner": "root"}])
    def test_mode_and_owner_are_for_a_file(self, listener: Any, option: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="are for a listener 'unix:/path/of/a/file'"):
            WebSocketServer(listener, tell, **option)

    def test_a_missing_directory_is_reported(self, path: str) -> None:
        with pytest.raises(FileNotFoundError, match=r"'missing/app\.sock'; create the directory first"):
            WebSocketServer("unix:missing/app.sock", tell).start()

    def test_a_directory_of_others_is_reported(self, path: str) -> None:
        os.chmod(".", 0o555)
        with as_nobody(), pytest.raises(PermissionError, match="let the server's user write"):
            WebSocketServer(f"unix:{path}", tell).start()

    def test_a_path_that_is_too_long_is_reported(self) -> None:
        with pytest.raises(OSError, match=r"too long: '/x{200}'"):
            WebSocketServer(f"unix:/{'x' * 200}", tell).start()

    def test_a_path_is_needed(self) -> None:
        with pytest.raises(ValueError, match="needs the path"):
            unix_path("unix:")


class TestIP:
    @pytest.fixture
    def port(self) -> Iterator[int]:
        server = WebSocketServer(("", 0), tell)
        server.start()
        assert server.server_port is not None
        yield server.server_port
        server.stop(timeout=1)

    def test_ipv4_is_served_and_shown_as_ipv4(self, port: int) -> None:
        assert ask(socket.AF_INET, ("127.0.0.1", port)).startswith("127.0.0.1 ")

    def test_ipv6_is_served(self, port: int) -> None:
        if not _has_ipv6():
            pytest.skip("this machine has no IPv6")
        assert ask(socket.AF_INET6, ("::1", port)).startswith("::1 ")

    def test_an_address_in_use_is_named(self, port: int) -> None:
        with pytest.raises(OSError, match=str(port)):
            WebSocketServer(("", port), tell).start()

    def test_so_is_what_to_do(self, port: int) -> None:
        with pytest.raises(OSError, match=rf"\('127\.0\.0\.1', {port}\); end the program that listens there"):
            WebSocketServer(("127.0.0.1", port), tell).start()

    def test_an_address_of_another_machine_is_reported(self) -> None:
        with pytest.raises(OSError, match=r"\('192\.0\.2\.1', 0\); write an address that this machine has"):
            WebSocketServer(("192.0.2.1", 0), tell).start()

    def test_an_unknown_host_is_reported(self) -> None:
        with pytest.raises(socket.gaierror, match=r"\('nowhere\.invalid', 0\); check the host name"):
            WebSocketServer(("nowhere.invalid", 0), tell).start()

    def test_a_port_reserved_for_root_is_reported_to_others(self) -> None:
        first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if not first.exists() or int(first.read_text()) <= 80:
            pytest.skip("everybody may listen on port 80 here")
        with (
            as_nobody(),
            pytest.raises(PermissionError, match="choose a port of 1024 or more, give the"),
        ):
            WebSocketServer(("127.0.0.1", 80), tell).start()

    def test_a_mapped_address_is_shown_as_what_it_is(self) -> None:
        assert shown(("::ffff:192.0.2.1", 5, 0, 0)) == ("192.0.2.1", 5)
        assert shown(("2001:db8::1", 5, 0, 0)) == ("2001:db8::1", 5)
        assert shown(b"/run/peer.sock") == "/run/peer.sock"
        assert shown("") == ""

    def test_the_name_of_a_unix_peer_cannot_forge_a_line_of_a_log(self) -> None:
        assert shown(b"/run/a\nCRITICAL \x1b[31m\xff") == "/run/a\\x0aCRITICAL \\x1b[31m\\udcff"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run as nobody meanwhile, because root may do everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# Puts the socket where systemd does, at descriptor 3, says so, and becomes the server.
ACTIVATED = """
import os, sys
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2], LISTEN_FDNAMES=sys.argv[3])
if sys.argv[4] == "0":
    os.environ["LISTEN_PID"] = "1"
from gevent import monkey
monkey.patch_all()
from geventkws import WebSocketServer
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"activated"]
WebSocketServer(sys.argv[1], hello).serve_forever()
"""


def activate(listener: str, count: int, names: str, ours: bool, sockets: list[socket.socket]):
    """Start a server as systemd would, with these sockets from descriptor 3 on."""

    def pass_on() -> None:
        duplicates = [os.dup(sock.fileno()) for sock in sockets]
        for number, duplicate in enumerate(duplicates, 3):
            os.dup2(duplicate, number)

    numbers = [str(count), names, "1" if ours else "0"]
    return subprocess.Popen(
        [sys.executable, "-c", ACTIVATED, listener, *numbers],
        cwd=ROOT,
        pass_fds=range(3, 3 + len(sockets)),
        preexec_fn=pass_on,
        stderr=subprocess.PIPE,
    )


@pytest.mark.once
class TestSystemd:
    @pytest.mark.parametrize(
        ("listener", "names", "chosen"),
        [("systemd", "web", 0), ("systemd:b", "a:b", 1), ("systemd:a", "a:b", 0)],
    )
    def test_a_socket_that_was_passed_on_is_served(self, listener: str, names: str, chosen: int) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names.split(":")]
        process = activate(listener, len(sockets), names, True, sockets)
        address = sockets[chosen].getsockname()
        try:
            # The socket already listens: the connection waits until the server is there.
            assert ask(socket.AF_INET, address) == "activated"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
            for sock in sockets:
                sock.close()

    @pytest.mark.parametrize(
        ("listener", "count", "names", "ours", "said"),
        [
            ("systemd", 0, "", True, "systemd passed no socket"),
            ("systemd", 1, "web", False, "systemd passed no socket"),
            ("systemd", 2, "a:b", True, "systemd passed 2 sockets: write 'systemd:name'"),
            ("systemd:c", 2, "a:b", True, "systemd passed no socket 'c', only a, b"),
        ],
    )
    def test_without_one_the_server_says_what_is_missing(self, listener, count, names, ours, said) -> None:
        process = activate(listener, count, names, ours, [])
        assert said in process.communicate(timeout=PATIENCE)[1].decode()
        assert process.returncode == 1
