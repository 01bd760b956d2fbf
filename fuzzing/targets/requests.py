"""Requests: any bytes have the same outcome whole and in pieces, and a refusal has one of a few statuses."""

from __future__ import annotations

from collections.abc import Iterable

from fuzzing.inputs import Input
from geventkws.http.errors import HTTPError
from geventkws.http.head import RequestHead
from geventkws.http.reader import RequestReader
from geventkws.options import ServerOptions
from tests.programs import ROOT

MAX_HEAD_SIZE = 4096
STATUSES = frozenset({400, 405, 414, 417, 431, 501, 505})

Outcome = tuple[str, str, bytes] | tuple[str, int]


SEEDS = [b"\6" + path.read_bytes() for path in sorted((ROOT / "tests" / "http" / "corpus").glob("*/*"))]
"""The requests of the tests, each in one piece."""


def outcomes(reads: Iterable[bytes]) -> list[Outcome]:
    """Read requests until the bytes end, one is refused or the connection would close."""
    reader = RequestReader(ServerOptions(max_head_size=MAX_HEAD_SIZE))
    told: list[Outcome] = []
    head: RequestHead | None = None
    body = b""
    try:
        for data in reads:
            reader.feed(data)
            while head is not None or (head := reader.head()) is not None:
                piece = b"" if head.upgrade else reader.body()
                if piece is None:
                    break
                body += piece
                if not piece:
                    told.append((head.method, head.target, body))
                    if not head.keep_alive or head.upgrade:
                        return told
                    head, body = None, b""
    except HTTPError as error:
        if error.status not in STATUSES:
            raise
        told.append(("refused", error.status))
    return told


def one_input(data: bytes) -> None:
    """Compare the outcomes of the input whole and in pieces."""
    cut = list(Input(data).pieces())
    whole, in_pieces = outcomes([b"".join(cut)]), outcomes(cut)
    # How early a request is refused may decide between two reasons, but must not change what came before it.
    assert _requests(whole) == _requests(in_pieces), (whole, in_pieces)
    assert _refused(whole) == _refused(in_pieces), (whole, in_pieces)


def _requests(told: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in told if outcome[0] != "refused"]


def _refused(told: list[Outcome]) -> bool:
    return any(outcome[0] == "refused" for outcome in told)
