"""What a server may listen on beside TCP addresses: Unix-domain sockets, and what systemd passes on."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any

from gevent.socket import socket as gevent_socket

from geventkws.escape import escape

UNIX_PREFIX = "unix:"
SYSTEMD = "systemd"

_FIRST_PASSED = 3
"""The first descriptor of those that systemd passes on (sd_listen_fds(3))."""


class SocketFile:
    """The file of a Unix-domain socket, which its server removes when it stops."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless another server's has taken its place."""
        with suppress(OSError):
            if self._identity is not None and _identity(self._path) == self._identity:
                os.unlink(self._path)


def unix_path(listener: object) -> str | None:
    r"""Return the path of a listener ``"unix:/run/app.sock"``; one that begins with ``@`` is abstract.

    Raises ``ValueError`` for an empty one; returns ``None`` for any other listener.
    """
    if not isinstance(listener, str) or not listener.startswith(UNIX_PREFIX):
        return None
    path = listener[len(UNIX_PREFIX) :]
    if not path:
        raise ValueError("a listener 'unix:' needs the path of the socket, such as 'unix:/run/app.sock'")
    return "\0" + path[1:] if path.startswith("@") else path


def bind_unix(path: str, backlog: int) -> Any:
    """Return a listening socket at ``path``, in place of one that a server left behind when it died.

    Raises ``OSError`` if a server still listens there, or a file of another kind is in the way.
    """
    if _is_abandoned(path):
        os.unlink(path)
    listener = gevent_socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: {path!r}") from None
    return listener


def bind_dual_stack(address: Any, backlog: int) -> Any:
    """Return a socket that listens on every address, IPv6 and IPv4; IPv4 where there is no IPv6."""
    try:
        listener = gevent_socket(socket.AF_INET6)
    except OSError:
        listener = gevent_socket(socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: {address!r}") from None
    return listener


def inherited(listener: str) -> Any:
    """Return a socket of systemd: the only one (``"systemd"``) or one by name (``"systemd:web"``).

    The name is the unit's ``FileDescriptorName``. Raises ``RuntimeError`` if there is none.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or not int(count):
        raise RuntimeError("systemd passed no socket on (LISTEN_PID, LISTEN_FDS): is there a .socket unit?")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    descriptor = _FIRST_PASSED
    _, _, name = listener.partition(":")
    if name:
        if name not in names[: int(count)]:
            raise RuntimeError(f"systemd passed no socket {name!r} on, only {', '.join(names)}")
        descriptor += names.index(name)
    elif int(count) > 1:
        raise RuntimeError(
            f"systemd passed {count} sockets on: 'systemd:name' says which of {', '.join(names)}"
        )
    os.set_inheritable(descriptor, False)
    passed = gevent_socket(fileno=descriptor)
    passed.setblocking(False)
    return passed


def shown(address: Any) -> tuple[str, int] | str:
    """Return a peer's address as it is told: IPv4 as IPv4, however the socket it arrived at is bound.

    The name of a Unix-domain socket is the peer's choice, and is escaped.
    """
    if not isinstance(address, tuple):
        return escape(os.fsdecode(address)) if address else ""
    host, port = address[:2]
    if host.startswith("::ffff:") and "." in host:
        host = host[len("::ffff:") :]
    return host, port


def _is_abandoned(path: str) -> bool:
    """Whether the file at ``path`` is a socket that nobody listens on."""
    if path.startswith("\0") or _identity(path) is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return stat.S_ISSOCK(os.stat(path).st_mode)
        except OSError:
            return False
    return False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
