"""The lives of connections, each with another ending, as their clients see them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress

from tests.lives.server import ENOUGH
from tests.raw import BINARY, PING, TEXT, RawClient, close_frame, masked
from tests.tls import connected_socket, tls_socket

Life = Callable[[int], None]
GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


def opened(port: int, path: str, *frames: bytes) -> RawClient:
    """Return a client with a WebSocket at ``path``, which has sent ``frames``."""
    client = RawClient(port, path)
    client.send(b"".join(frames))
    return client


def until_the_end(client: RawClient) -> None:
    """Read until the server ends the connection."""
    with client, suppress(ConnectionResetError):
        client.read_to_end()


def closed_by_client(port: int) -> None:
    with opened(port, "/echo", masked(TEXT, "hello"), close_frame(1000)) as client:
        client.close_code()
        client.read_to_end()


def closed_by_service(port: int) -> None:
    with opened(port, "/close", masked(TEXT, "x")) as client:
        code, _ = client.close_code()
        client.send(close_frame(code))
        client.read_to_end()


def unanswered_close(port: int) -> None:
    until_the_end(opened(port, "/close", masked(TEXT, "x")))


def dropped(port: int) -> None:
    until_the_end(opened(port, "/drop", masked(TEXT, "x")))


def failed(port: int) -> None:
    until_the_end(opened(port, "/fail", masked(TEXT, "x"), masked(TEXT, "y")))


def killed(port: int) -> None:
    until_the_end(opened(port, "/kill", masked(TEXT, "x")))


def timed_out(port: int) -> None:
    until_the_end(opened(port, "/impatient"))


def run_returned(port: int) -> None:
    until_the_end(opened(port, "/pull", masked(BINARY, "x")))


def wrong_frame(port: int) -> None:
    until_the_end(opened(port, "/echo", b"\xf0\x80mask"))


def too_large(port: int) -> None:
    until_the_end(opened(port, "/echo", masked(TEXT, "x" * (ENOUGH + 1))))


def wrong_deflate(port: int) -> None:
    client = RawClient(port, "/deflated", "Sec-WebSocket-Extensions: permessage-deflate")
    client.send(b"\xc1\x84mask" + b"\xff" * 4)
    until_the_end(client)


def reset_while_waiting(port: int) -> None:
    with opened(port, "/wait", masked(TEXT, "x")) as client:
        client.frame()
        client.reset()


def reset_within_a_message(port: int) -> None:
    with opened(port, "/echo", masked(TEXT, "x", fin=False), masked(PING)) as client:
        client.frame()
        client.reset()


def refused(port: int) -> None:
    until_the_end(RawClient(port, "/nowhere"))


def closed_by_application(port: int) -> None:
    until_the_end(opened(port, "/application", masked(TEXT, "x")))


def one_request(port: int) -> None:
    with RawClient(port) as client:
        client.send(GET % b"/" * 2)
        client.read_head()


def streamed_and_reset(port: int) -> None:
    with RawClient(port) as client:
        client.send(GET % b"/stream")
        client.read_head()
        client.reset()


def bad_request(port: int) -> None:
    with RawClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
        client.read_to_end()


def failed_request(port: int) -> None:
    with RawClient(port) as client:
        client.send(b"GET /fail HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.read_to_end()


def unfinished_body(port: int) -> None:
    with RawClient(port) as client:
        client.send(b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        client.reset()


def half_a_head(port: int) -> None:
    with RawClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHo")


def silence(port: int) -> None:
    RawClient(port).reset()


PLAIN: dict[str, Life] = {
    life.__name__: life
    for life in (
        *(closed_by_client, closed_by_service, unanswered_close, dropped, failed, killed, timed_out),
        *(run_returned, wrong_frame, too_large, wrong_deflate, reset_while_waiting, reset_within_a_message),
        *(refused, closed_by_application, one_request, streamed_and_reset, bad_request, failed_request),
        *(unfinished_body, half_a_head, silence),
    )
}


def over_tls(context: ssl.SSLContext) -> dict[str, Life]:
    """Return the lives that differ over TLS, for clients with this context."""

    def client(port: int) -> RawClient:
        return RawClient(port, "/echo", sock=tls_socket(port, context))

    def tls_closed_by_client(port: int) -> None:
        with client(port) as one:
            one.send(close_frame(1000))
            one.close_code()

    def tls_reset(port: int) -> None:
        with client(port) as one:
            one.reset()

    def tls_handshake_broken_off(port: int) -> None:
        with connected_socket(port) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")

    def tls_plain_http(port: int) -> None:
        with RawClient(port) as one:
            one.send(GET % b"/")
            with suppress(ConnectionResetError):
                one.read_to_end()

    lives: tuple[Life, ...] = (tls_closed_by_client, tls_reset, tls_handshake_broken_off, tls_plain_http)
    return {life.__name__: life for life in lives}
