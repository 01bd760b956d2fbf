"""Fuzzes the request reader: any bytes, cut anywhere, must have the same outcome, without a crash.

``make fuzz`` runs it; by hand, starting from the corpus of the tests:
``python fuzzing/fuzz_request_reader.py -max_total_time=60 CORPUS_DIRECTORY tests/http/corpus/*/``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import atheris

with atheris.instrument_imports(include=["geventkws.http", "geventkws.protocol"]):
    from geventkws.http.errors import HTTPError
    from geventkws.http.head import RequestHead
    from geventkws.http.reader import RequestReader
    from geventkws.options import ServerOptions

MAX_HEAD_SIZE = 4096
STATUSES = frozenset({400, 405, 414, 417, 431, 501, 505})

Outcome = tuple[str, str, bytes] | tuple[str, int]


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


def pieces(data: bytes, provider: atheris.FuzzedDataProvider) -> Iterable[bytes]:
    """Cut ``data`` where the input tells us to."""
    start = 0
    while start < len(data):
        end = start + provider.ConsumeIntInRange(1, 40)
        yield data[start:end]
        start = end


def fuzz(data: bytes) -> None:
    """Feed the input whole, and in pieces whose sizes come from its last bytes, and compare the outcomes."""
    provider = atheris.FuzzedDataProvider(data)
    whole, cut = outcomes([data]), outcomes(pieces(data, provider))
    # How early a request is refused may decide between two reasons, but must not change what came before it.
    assert _requests(whole) == _requests(cut), (whole, cut)
    assert _refused(whole) == _refused(cut), (whole, cut)


def _requests(told: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in told if outcome[0] != "refused"]


def _refused(told: list[Outcome]) -> bool:
    return any(outcome[0] == "refused" for outcome in told)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
