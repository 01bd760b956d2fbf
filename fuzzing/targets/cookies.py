"""A request's target, query and cookies: whatever was sent, they can be looked at, and are Unicode."""

from __future__ import annotations

from fuzzing.inputs import Input
from geventkws.http.errors import HTTPError
from geventkws.http.reader import RequestReader
from geventkws.request import Request

SEEDS = (
    b"\x0d" + b"/a/%C3%A9?b=1" + b'session="a\\073b"; theme=dark',
    b"\x03" + b"/%\xff" + b"=; a; b=\xff",
)


def one_input(data: bytes) -> None:
    """Look at everything of a request that the reader lets through."""
    given = Input(data)
    size = given.choose(range(100))
    target = bytes(given.choose(range(256)) for _ in range(size))
    reader = RequestReader()
    reader.feed(b"GET /%b HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % (target, given.rest()))
    try:
        head = reader.head()
    except HTTPError:
        return
    if head is None:
        return
    request = Request.from_head(head, ("127.0.0.1", 1), lambda request: {})
    texts = [request.path, repr(request), *request.cookies, *request.cookies.values()]
    texts += [*request.query, *(value for name in request.query for value in request.query.get_all(name))]
    for text in texts:
        text.encode("utf-8")
