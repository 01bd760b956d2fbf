"""What a server can listen on: TCP addresses, Unix-domain sockets, and sockets passed by systemd."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gevent import monkey

from geventkws.escape import escape

# gevent's servers take a socket of gevent's apart, and nobody closes the watchers that it had.
native_socket: Any = monkey.get_original("socket", "socket")

UNIX_PREFIX = "unix:"


class Accepting(Protocol):
    """A listening socket, from the standard library or gevent."""

    def accept(self) -> Any:
        """Return the next connection and its address."""

    def fileno(self) -> int:
        """Return the file descriptor."""


Listener = str | int | tuple[str, int] | tuple[str, int, int, int] | Accepting
"""Where to listen: ``"host:port"``, a port, ``"unix:/path"``, ``"systemd"``, (host, port), or a socket."""

SYSTEMD = "systemd"

_LARGEST_ID = 2**32 - 2
"""The largest number of a user or a group; the next one is -1."""

_FIRST_PASSED = 3
"""The first of the descriptors that systemd passes (sd_listen_fds(3))."""


class SocketFile:
    """The file of a Unix-domain socket, which the server removes when it stops."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless that of another server has taken its place."""
        with suppress(OSError):
            if self._identity is not None and _identity(self._path) == self._identity:
                os.unlink(self._path)


def unix_path(listener: object) -> str | None:
    r"""Return the path in a listener such as ``"unix:/run/app.sock"``; a path with ``@`` first is abstract.

    Returns ``None`` for any other listener. Raises ``ValueError`` for an empty path.
    """
    if not isinstance(listener, str) or not listener.startswith(UNIX_PREFIX):
        return None
    path = listener[len(UNIX_PREFIX) :]
    if not path:
        raise ValueError("a listener 'unix:' needs the path of the socket, such as 'unix:/run/app.sock'")
    return "\0" + path[1:] if path.startswith("@") else path


def unix_address(listener: object, mode: int | None, owner: str | None) -> UnixAddress | None:
    """Return where a ``"unix:..."`` listener is and who may connect; ``None`` for any other listener.

    ``mode`` and ``owner`` are the options ``unix_socket_mode`` and ``unix_socket_owner``. Raises
    ``ValueError`` for an owner that does not exist, and for a mode or owner if there is no file.
    """
    path = unix_path(listener)
    if (mode is not None or owner is not None) and (path is None or path.startswith("\0")):
        raise ValueError("unix_socket_mode and unix_socket_owner are for a listener 'unix:/path/of/a/file'")
    if path is None:
        return None
    return UnixAddress(path, mode, None if owner is None else find_owner(owner))


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """Where a server listens, and who may connect: the mode and the owner of the socket's file."""

    path: str
    mode: int | None = None
    """``None`` leaves it to the umask."""
    owner: tuple[int, int] | None = None
    """The numbers of user and group; -1 leaves one as it is."""

    def __str__(self) -> str:
        return self.path

    def bind(self, backlog: int) -> Any:
        """Return a listening socket; a socket file left behind by a dead server is replaced.

        Raises ``OSError``, with what to do, if another server still listens there, a file of another kind is
        in the way, or the owner may not be set.
        """
        if _is_abandoned(self.path):
            os.unlink(self.path)
        listener = native_socket(socket.AF_UNIX)
        file = None
        try:
            listener.bind(self.path)
            file = SocketFile(self.path)
            # Before ``listen`` nobody can connect, so nobody connects who may not.
            self._set_permissions()
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            if file is not None:
                file.remove()
            raise _explained(error, self.path) from error
        return listener

    def _set_permissions(self) -> None:
        if self.owner is not None:
            try:
                os.chown(self.path, *self.owner)
            except OSError as error:
                text = f"unix_socket_owner cannot be set: {error.strerror}"
                raise OSError(error.errno, text) from None
        if self.mode is not None:
            os.chmod(self.path, self.mode)


def find_owner(text: str) -> tuple[int, int]:
    """Return the numbers of a user and a group, given as ``"user"``, ``"user:group"`` or ``":group"``.

    Either may be a name or a number; the result is -1 for one that is left out. Raises ``ValueError`` for a
    name that does not exist on this machine.
    """
    user, _, group = text.partition(":")
    try:
        return _number(user, lambda: pwd.getpwnam(user).pw_uid), _number(
            group, lambda: grp.getgrnam(group).gr_gid
        )
    except KeyError as error:
        raise ValueError(f"option 'unix_socket_owner': {error.args[0]}") from None


def _number(text: str, find: Callable[[], int]) -> int:
    if not text:
        return -1
    if text.isascii() and text.isdecimal() and int(text) <= _LARGEST_ID:
        return int(text)
    return find()


def bind_tcp(address: Any, backlog: int, family: int) -> Any:
    """Return a socket that listens on an address; if its host is empty, on all addresses, IPv6 and IPv4.

    Raises ``OSError``, with what to do, if the address is not available.
    """
    is_dual = address[0] in ("", "::")
    try:
        listener = native_socket(family)
    except OSError:
        if not is_dual:
            raise
        listener = native_socket(socket.AF_INET)  # there is no IPv6 here
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_dual and listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return _listening(listener, address, backlog)


def _listening(listener: Any, address: Any, backlog: int) -> Any:
    try:
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _explained(error, address) from error
    return listener


def _explained(error: OSError, address: Any) -> OSError:
    """Return an error of the same kind that names the address and, if known, says what to do."""
    text = f"{error.strerror or error}: {address!r}"
    if isinstance(error, socket.gaierror):
        remedy = "check the host name, or write '' for every address of this machine"
        return socket.gaierror(error.errno, f"{text}; {remedy}")
    remedies = _TCP_REMEDIES if isinstance(address, tuple) else _UNIX_REMEDIES
    known = remedies.get(error.errno or 0)
    text = f"{text}; {known}" if known else text
    return OSError(error.errno, text) if error.errno else OSError(text)


_TCP_REMEDIES = {
    errno.EADDRINUSE: "end the program that listens there, or choose another port (0 picks a free one)",
    errno.EACCES: "choose a port of 1024 or more, give the program the capability CAP_NET_BIND_SERVICE, or"
    " let systemd open the port (listener 'systemd')",
    errno.EADDRNOTAVAIL: "write an address that this machine has, or '' for every address",
}

_UNIX_REMEDIES = {
    errno.EADDRINUSE: "end the server that listens there, remove the file, or choose another path",
    errno.EACCES: "let the server's user write to the directory",
    errno.ENOENT: "create the directory first",
}


def inherited(listener: str) -> Any:
    """Return a socket passed by systemd: the only one (``"systemd"``), or one by name (``"systemd:web"``).

    The name is the unit's ``FileDescriptorName``. Raises ``RuntimeError`` if there is no such socket.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or not int(count):
        raise RuntimeError("systemd passed no socket (LISTEN_PID, LISTEN_FDS): is there a .socket unit?")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    descriptor = _FIRST_PASSED
    _, _, name = listener.partition(":")
    if name:
        if name not in names[: int(count)]:
            raise RuntimeError(f"systemd passed no socket {name!r}, only {', '.join(names)}")
        descriptor += names.index(name)
    elif int(count) > 1:
        raise RuntimeError(
            f"systemd passed {count} sockets: write 'systemd:name', with one of {', '.join(names)}"
        )
    os.set_inheritable(descriptor, False)
    return native_socket(fileno=descriptor)


def shown(address: Any) -> tuple[str, int] | str:
    """Return a peer's address as it is shown: IPv4 as IPv4, even if it arrived at an IPv6 socket.

    The name of a Unix-domain socket is chosen by the peer, and therefore escaped.
    """
    if not isinstance(address, tuple):
        return escape(os.fsdecode(address)) if address else ""
    host, port = address[:2]
    if host.startswith("::ffff:") and "." in host:
        host = host[len("::ffff:") :]
    return host, port


def _is_abandoned(path: str) -> bool:
    """Return whether the file at ``path`` is a socket that nobody listens on."""
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
