"""A TLS 1.3 client that asks for new keys as fast as OpenSSL can. Python's ``ssl`` has no function for it."""

from __future__ import annotations

import _ssl
import ctypes
import socket
import struct
from types import TracebackType
from typing import Any, Self

import pytest
from gevent.monkey import get_original

from tests.hostile.kinds import HOST
from tests.waiting import PATIENCE

REQUESTED = 1
"""``SSL_KEY_UPDATE_REQUESTED``: the peer, too, must make itself new keys, and answer."""

native_socket: Any = get_original("socket", "socket")


class KeyUpdater:
    """A connection over the OpenSSL that Python itself has. What goes wrong raises ``AssertionError``."""

    def __init__(self, port: int) -> None:
        self._openssl = ctypes.CDLL(_ssl.__file__)
        if not hasattr(self._openssl, "SSL_key_update"):
            pytest.skip("this Python's OpenSSL cannot be called")
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(self._openssl, name).restype = ctypes.c_void_p
        self._sock = native_socket()
        self._sock.connect((HOST, port))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(PATIENCE), 0))
        method = ctypes.c_void_p(self._openssl.TLS_client_method())
        self._context = ctypes.c_void_p(self._openssl.SSL_CTX_new(method))
        self._tls = ctypes.c_void_p(self._openssl.SSL_new(self._context))
        self._call("SSL_set_fd", self._sock.fileno())
        self._call("SSL_connect")

    def update(self) -> None:
        """Send a request for new keys, whose answer ``ask`` reads."""
        self._call("SSL_key_update", REQUESTED)
        self._call("SSL_do_handshake")

    def ask(self, question: bytes) -> bytes:
        """Send ``question``, read all answers to earlier requests for keys, and return what follows."""
        self._call("SSL_write", question, len(question))
        buffer = ctypes.create_string_buffer(4096)
        size = self._call("SSL_read", buffer, len(buffer))
        return buffer.raw[:size]

    def _call(self, function: str, *arguments: Any) -> int:
        result: int = getattr(self._openssl, function)(self._tls, *arguments)
        assert result > 0, f"{function} failed"
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._openssl.SSL_free(self._tls)
        self._openssl.SSL_CTX_free(self._context)
        self._sock.close()
