"""New certificates while the server runs: open connections go on, and new ones see the new certificate."""

from __future__ import annotations

import signal
import socket
import ssl
from contextlib import closing
from pathlib import Path
from subprocess import Popen
from time import monotonic

import gevent
import websocket

from tests.certificates import HOST, Certificates
from tests.soak.tally import Tally
from tests.waiting import PATIENCE

PAUSE = 3.0
"""Seconds between two renewals."""
VISITS = 5
"""Connections that must see the new certificate once one has seen it."""


class Renewal:
    """Replaces the certificate of ``server``, which listens on ``port``, again and again."""

    def __init__(self, certificates: Certificates, server: Popen[bytes], port: int, tally: Tally) -> None:
        self._certificates = certificates
        self._server = server
        self._port = port
        self._tally = tally
        self._tls = certificates.client()

    def run(self, until: float) -> None:
        """Renew until this time of ``monotonic``, and note what goes wrong."""
        while monotonic() + PAUSE < until:
            gevent.sleep(PAUSE)
            self._tally.lives += 1
            try:
                self._renew()
            except (OSError, websocket.WebSocketException) as error:
                self._tally.complaints.append(f"renewal {self._tally.lives}: {error!r}")

    def _renew(self) -> None:
        with closing(self._talker()) as talker:
            self._certificates.renew()
            self._server.send_signal(signal.SIGHUP)
            self._wait_for_the_new()
            if any(not self._is_new() for _ in range(VISITS)):
                self._tally.complaints.append("the old certificate has come back")
            talker.send("still here")
            if talker.recv() != "still here":
                self._tally.complaints.append("a connection with the old certificate got a wrong answer")
            self._tally.messages += 1

    def _talker(self) -> websocket.WebSocket:
        url = f"wss://{HOST}:{self._port}/echo"
        return websocket.create_connection(url, timeout=PATIENCE, sslopt={"context": self._tls})

    def _wait_for_the_new(self) -> None:
        end = monotonic() + PATIENCE
        while not self._is_new():
            if monotonic() > end:
                raise TimeoutError("the new certificate does not come")
            gevent.sleep(0.05)

    def _is_new(self) -> bool:
        with (
            socket.create_connection((HOST, self._port), PATIENCE) as plain,
            self._tls.wrap_socket(plain, server_hostname=HOST) as encrypted,
        ):
            seen = encrypted.getpeercert(binary_form=True)
        return seen == ssl.PEM_cert_to_DER_cert(Path(self._certificates.certfile).read_text())
