"""What is counted of WebSockets moves for the right reason, and for no other."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import get_hub, monkey
from gevent.event import Event
from gevent.threadpool import ThreadPool

from geventkws import HandshakeError, WebSocketConnection, WebSocketServer, WebSocketService, accept
from geventkws.loop.leaf import thread_id
from geventkws.metrics import services
from geventkws.metrics.metrics import Metrics
from geventkws.protocol.refusals import Refusal
from tests.integration.conftest import Echo, Recorder, Site
from tests.metrics.conftest import PUNCTUAL, Count, Scraped, scrape, wait_for
from tests.raw import BINARY, TEXT, RawClient, close_frame, masked, upgrade_request
from tests.waiting import PATIENCE

SERVICE = {"service": "/service"}

sleep_in_the_hub: Any = monkey.get_original("time", "sleep")


def test_connections_are_counted_while_they_are_open_and_when_they_were_opened(count: Count) -> None:
    site = count(Echo())
    before = scrape(site.port)
    assert before.value("websocket_connections", **SERVICE) == 0
    assert before.value("websocket_connections_opened_total", **SERVICE) == 0
    clients = [site.connect() for _ in range(3)]
    now = scrape(site.port)
    assert now.value("websocket_connections", **SERVICE) == 3
    assert now.value("websocket_connections_opened_total", **SERVICE) == 3
    clients[0].send(close_frame(1000))
    clients[0].read_to_end()
    after = wait_for(site.port, 2, "websocket_connections", **SERVICE)
    assert after.value("websocket_connections_opened_total", **SERVICE) == 3
    assert after.value("websocket_connections_closed_total", **SERVICE, code="1000") == 1


def _close(code: int) -> Callable[[RawClient], None]:
    return lambda client: client.send(close_frame(code))


def break_a_rule(client: RawClient) -> None:
    client.send(bytes((0x81, 0x00)))  # which is not masked
    assert client.close_code()[0] == 1002
    client.close()


def close_by_service(message: str | bytes, connection: WebSocketConnection) -> None:
    if message == "fail":
        raise LookupError("a mistake of the service")
    connection.close(int(message))


ENDINGS: dict[str, tuple[Callable[[RawClient], None], str]] = {
    "the client leaves": (_close(1001), "1001"),
    "the client says nothing": (lambda client: client.send(close_frame()), "1005"),
    "the client is lost": (lambda client: client.reset(), "1006"),
    "the client breaks a rule": (break_a_rule, "1002"),
    "the client makes up a code": (_close(3123), "3xxx"),
    "the client makes up another": (_close(4999), "4xxx"),
    "the service chooses a code": (lambda client: client.send(masked(TEXT, "4001")), "4001"),
    "the service closes": (lambda client: client.send(masked(TEXT, "1008")), "1008"),
}


@pytest.mark.parametrize(("end", "code"), ENDINGS.values(), ids=ENDINGS)
def test_ended_connections_are_counted_by_code(
    count: Count, end: Callable[[RawClient], None], code: str
) -> None:
    site = count(Recorder(received=close_by_service))
    client = site.connect()
    end(client)
    if code in ("4001", "1008"):
        assert client.close_code() == (int(code), "")
        client.send(close_frame(int(code)))
    after = wait_for(site.port, 1, "websocket_connections_closed_total", **SERVICE, code=code)
    closed = after.families["geventkws_websocket_connections_closed"].samples
    assert [(sample.labels["code"], sample.value) for sample in closed] == [(code, 1)]
    assert after.value("websocket_connections", **SERVICE) == 0


@pytest.mark.logs_errors
def test_a_callback_that_fails_is_an_end_with_1011_and_its_time_counts(count: Count) -> None:
    site = count(Recorder(received=close_by_service))
    client = site.connect()
    client.send(masked(TEXT, "fail"))
    assert client.close_code()[0] == 1011
    client.close()
    after = wait_for(site.port, 1, "websocket_connections_closed_total", **SERVICE, code="1011")
    # connected, received and disconnected
    assert after.value("websocket_callback_duration_seconds_count", **SERVICE) == 3


# Refusals


class Picky(WebSocketService):
    def connecting(self, request: Any) -> None:
        if request.query.get("because") == "failure":
            raise LookupError("a mistake of the service")
        raise HandshakeError(403, "Members only")

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        """Never called."""


def answer_upgrades(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer like an application that knows nothing of WebSockets, or one that lets some in."""
    path = environ["PATH_INFO"]
    if path == "/accepts":
        return accept(environ, Echo())
    if path == "/refuses":
        raise HandshakeError(403, "Log in first")
    if path == "/fails":
        raise LookupError("a mistake of the application")
    if path in ("/answers", "/takes"):
        start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")])
        if path == "/takes":
            environ["geventkws.socket"].close()
        return []
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


PLAIN = b"GET /plain HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

REFUSALS: dict[str, tuple[bytes, int, Refusal]] = {
    "no key": (
        upgrade_request("/service").replace(b"Sec-WebSocket-Key", b"X-Key"),
        400,
        Refusal.REQUEST,
    ),
    "another version": (upgrade_request("/service").replace(b": 13", b": 8"), 426, Refusal.VERSION),
    "a foreign page": (upgrade_request("/service", "Origin: http://evil.example"), 403, Refusal.ORIGIN),
    "the service": (upgrade_request("/picky"), 403, Refusal.SERVICE),
    "the service fails": (upgrade_request("/picky?because=failure"), 500, Refusal.FAILURE),
    "the application knows no such path": (upgrade_request("/nowhere"), 404, Refusal.APPLICATION),
    "the application refuses": (upgrade_request("/refuses"), 403, Refusal.APPLICATION),
    "the application fails": (upgrade_request("/fails"), 500, Refusal.APPLICATION),
    "a foreign page, in the application": (
        upgrade_request("/accepts", "Origin: http://evil.example"),
        403,
        Refusal.ORIGIN,
    ),
    "a foreign page, where the application does the handshake": (
        upgrade_request("/takes", "Origin: http://evil.example"),
        403,
        Refusal.ORIGIN,
    ),
}


def refused(scraped: Scraped) -> dict[str, float]:
    """Return why handshakes were refused, and how often."""
    samples = scraped.families["geventkws_websocket_handshakes_refused"].samples
    return {sample.labels["reason"]: sample.value for sample in samples if sample.value}


@pytest.mark.logs_errors
@pytest.mark.parametrize(("request_sent", "status", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_counted_by_reason(
    count: Count, request_sent: bytes, status: int, reason: Refusal
) -> None:
    site = count(Echo(), paths={"/picky": Picky()}, application=answer_upgrades)
    assert refused(scrape(site.port)) == {}
    client = site.connect(None)
    client.send(request_sent)
    assert client.read_head().startswith(f"HTTP/1.1 {status} ")
    assert refused(scrape(site.port)) == {reason: 1}


@pytest.mark.parametrize("path", ["/answers", "/takes"])
def test_a_101_of_the_applications_own_is_not_a_refusal(count: Count, path: str) -> None:
    site = count(application=answer_upgrades)
    client = site.connect(path)
    assert client.head.startswith("HTTP/1.1 101 ")
    assert client.read_to_end() == b""
    assert refused(scrape(site.port)) == {}


def test_a_path_without_a_service_is_a_reason_if_there_is_no_application(count: Count) -> None:
    site = count(Echo())
    client = site.connect(None)
    client.send(upgrade_request("/nowhere"))
    assert client.read_head().startswith("HTTP/1.1 404 ")
    assert refused(scrape(site.port)) == {Refusal.PATH: 1}


def test_a_stopping_server_is_a_reason(count: Count, metrics: Metrics) -> None:
    returning = Event()
    site = count(Echo(connected=lambda connection: returning.wait(PATIENCE)))
    site.connect()  # which keeps the server from stopping at once
    late = site.connect(None)
    request = upgrade_request("/service")
    late.send(request[:20])
    with gevent.Timeout(PATIENCE):
        while site.server.http_connections < 1:
            gevent.sleep(0.005)
    gevent.sleep(0.05)
    stopping = gevent.spawn(site.server.stop, PATIENCE)
    with gevent.Timeout(PATIENCE):
        while not site.server.stopping:
            gevent.sleep(0.005)
    late.send(request[20:])
    assert late.read_head().startswith("HTTP/1.1 503 ")
    late.close()
    returning.set()
    stopping.join(PATIENCE)
    values = {reading.labels: reading.value for reading in metrics._counts.read()}
    assert values[(Refusal.STOPPING,)] == 1


def test_what_is_accepted_is_not_refused_nor_is_a_plain_request(count: Count) -> None:
    site = count(Echo(), application=answer_upgrades)
    site.connect()
    site.connect("/accepts")
    client = site.connect(None)
    client.send(PLAIN)
    assert client.read_head().startswith("HTTP/1.1 404 ")
    assert refused(scrape(site.port)) == {}


# Messages, bytes, the send buffer


def test_messages_and_bytes_are_counted_each_way_while_open_and_when_over(count: Count) -> None:
    site = count(Echo())
    client = site.connect()
    sent = masked(TEXT, "hello") + masked(BINARY, b"x" * 1000)
    client.send(sent)
    assert [client.frame().payload for _ in range(2)] == [b"hello", b"x" * 1000]
    expected = {
        "websocket_messages_received_total": 2,
        "websocket_messages_sent_total": 2,
        "websocket_received_bytes_total": len(sent),
        "websocket_sent_bytes_total": 2 + 5 + 4 + 1000,
    }
    scraped = scrape(site.port)
    assert {name: scraped.value(name, **SERVICE) for name in expected} == expected
    farewell = close_frame(1000)
    client.send(farewell)
    client.read_to_end()
    over = wait_for(site.port, 0, "websocket_connections", **SERVICE)
    expected["websocket_received_bytes_total"] += len(farewell)
    expected["websocket_sent_bytes_total"] += 4
    assert {name: over.value(name, **SERVICE) for name in expected} == expected


def test_the_send_buffer_is_what_the_peer_has_not_taken(count: Count) -> None:
    big = "x" * (16 * 1024 * 1024)
    site = count(
        Recorder(connected=lambda connection: connection.send(big)), max_send_buffer=64 * 1024 * 1024
    )
    client = site.connect()
    with gevent.Timeout(PATIENCE):
        while not (waiting := scrape(site.port).value("websocket_send_buffer_bytes", **SERVICE)):
            gevent.sleep(0.01)
    assert waiting <= len(big) + 10
    assert scrape(site.port).value("websocket_messages_sent_total", **SERVICE) == 1
    assert client.frame().payload == big.encode()
    taken = wait_for(site.port, 0, "websocket_send_buffer_bytes", **SERVICE)
    assert taken.value("websocket_sent_bytes_total", **SERVICE) == len(big) + 10


# Callbacks


def buckets(scraped: Scraped, name: str, **labels: str) -> dict[float, float]:
    """Return the counts of a histogram by upper bound, each without those of lower bounds."""
    found: dict[float, float] = {}
    for sample in scraped.families[f"geventkws_{name}"].samples:
        if sample.name.endswith("_bucket") and labels.items() <= sample.labels.items():
            found[float(sample.labels["le"])] = sample.value - sum(found.values())
    return {bound: value for bound, value in found.items() if value}


def test_callbacks_are_timed_with_what_they_wait_for(count: Count) -> None:
    def wait(message: str | bytes, connection: WebSocketConnection) -> None:
        gevent.sleep(0.3)
        connection.send("done")

    name = "websocket_callback_duration_seconds"
    site = count(Recorder(received=wait))
    client = site.connect()
    client.send(masked(TEXT, "once") + masked(TEXT, "again"))
    assert client.frame().payload == b"done"
    assert client.frame().payload == b"done"
    scraped = wait_for(site.port, 3, f"{name}_count", **SERVICE)
    slow = {bound: value for bound, value in buckets(scraped, name, **SERVICE).items() if bound > 0.25}
    assert sum(slow.values()) >= 2
    assert 0.6 * PUNCTUAL <= scraped.value(f"{name}_sum", **SERVICE) < PATIENCE


def test_each_of_many_messages_in_one_batch_is_timed_separately(count: Count) -> None:
    name = "websocket_callback_duration_seconds"
    site = count(Echo())
    began = monotonic()
    client = site.connect()
    client.send(masked(TEXT, "x") * 1000)
    for _ in range(1000):
        client.frame()
    scraped = wait_for(site.port, 1001, f"{name}_count", **SERVICE)
    # Were the time before each counted as its own, the sum would be many times as long.
    assert scraped.value(f"{name}_sum", **SERVICE) <= monotonic() - began


def test_waiting_for_a_turn_is_not_part_of_a_callback(count: Count) -> None:
    def work(message: str | bytes, connection: WebSocketConnection) -> None:
        if message == "first":
            gevent.sleep(0.01)  # from here on, its greenlet waits for a turn of its own
        sleep_in_the_hub(0.001)

    name = "websocket_callback_duration_seconds"
    worker = Recorder(received=work)
    hog = Recorder(received=lambda message, connection: sleep_in_the_hub(0.05))
    site = count(worker, paths={"/hog": hog}, block_warning=None)
    ours, other = site.connect(), site.connect("/hog")
    other.send(masked(TEXT, "x") * 20)
    ours.send(masked(TEXT, "first") + masked(TEXT, "x") * 20)
    wait_for(site.port, 21, f"{name}_count", service="/hog")
    scraped = wait_for(site.port, 22, f"{name}_count", **SERVICE)
    # Were a wait for the hog a part of them, nearly all would be longer than one of its callbacks.
    short = sum(number for bound, number in buckets(scraped, name, **SERVICE).items() if bound <= 0.05)
    assert short > 11


def test_run_is_not_timed_since_it_lasts_as_long_as_the_connection(count: Count) -> None:
    class Pulls(WebSocketService):
        def run(self, connection: WebSocketConnection) -> None:
            for message in connection:
                connection.send(message)

    site = count(Pulls())
    client = site.connect()
    client.send(masked(TEXT, "x"))
    assert client.frame().payload == b"x"
    client.send(close_frame(1000))
    client.read_to_end()
    scraped = wait_for(site.port, 0, "websocket_connections", **SERVICE)
    # connected and disconnected
    assert scraped.value("websocket_callback_duration_seconds_count", **SERVICE) == 2
    assert scraped.value("websocket_messages_received_total", **SERVICE) == 1


# The names of services


def opened(scraped: Scraped) -> dict[str, float]:
    """Return how many connections were opened, by service."""
    samples = scraped.families["geventkws_websocket_connections_opened"].samples
    return {sample.labels["service"]: sample.value for sample in samples}


def test_a_service_is_named_by_its_registered_path_not_by_the_requested_one(count: Count) -> None:
    both = Echo()
    site = count(Echo(), paths={"/Rooms/<room>": both, "/lobby": both})
    for path in ("/rooms/a", "/rooms/b?x=1", "/lobby", "/SERVICE"):
        site.connect(path)
    assert opened(scrape(site.port)) == {"/Rooms/<room>": 2, "/lobby": 1, "/service": 1}


def test_a_service_that_the_application_accepts_for_is_named_by_its_class(count: Count) -> None:
    site = count(Echo(), application=answer_upgrades)
    site.connect("/accepts")
    assert opened(scrape(site.port)) == {"/service": 0, "Echo": 1}


def test_beyond_a_limit_services_count_as_other(count: Count, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_SERVICES", 3)

    def accept_any(environ: dict[str, Any], start_response: Any) -> Any:
        made_up: Any = type(environ["PATH_INFO"][1:], (Echo,), {})
        return accept(environ, made_up())

    site = count(application=accept_any)
    for name in "abcde":
        site.connect(f"/{name}")
    assert opened(scrape(site.port)) == {"a": 1, "b": 1, "c": 1, "other": 2}


# The life of servers


def test_two_servers_count_together_and_stopping_one_takes_nothing_back(count: Count) -> None:
    first, second = count(Echo()), count(Echo())
    for site in (first, second):
        client = site.connect()
        client.send(masked(TEXT, "x"))
        client.frame()
    both = scrape(first.port)
    assert both.value("websocket_connections", **SERVICE) == 2
    assert both.value("websocket_messages_received_total", **SERVICE) == 2
    second.server.stop(timeout=0)
    one = wait_for(first.port, 1, "websocket_connections", **SERVICE)
    assert one.value("websocket_messages_received_total", **SERVICE) == 2
    assert one.value("websocket_connections_opened_total", **SERVICE) == 2


def test_what_a_stopped_server_still_waits_for_is_counted_until_it_ends(
    count: Count, metrics: Metrics
) -> None:
    returning = Event()
    site = count(Echo(received=lambda message, connection: returning.wait(PATIENCE)))
    other = count()
    client = site.connect()
    client.send(masked(TEXT, "x"))
    wait_for(other.port, 1, "websocket_messages_received_total", **SERVICE)
    site.server.stop(timeout=0)
    left = scrape(other.port)
    assert left.value("websocket_connections", **SERVICE) == 1
    assert left.value("websocket_messages_received_total", **SERVICE) == 1
    returning.set()
    over = wait_for(other.port, 0, "websocket_connections", **SERVICE)
    assert over.value("websocket_messages_received_total", **SERVICE) == 1
    assert not metrics._counts._left


# The watchers ended with their loop, which gevent does not see when it looks for those left open.
@pytest.mark.filterwarnings("ignore:.*watcher.__del__:pytest.PytestUnraisableExceptionWarning")
def test_servers_of_two_threads_cannot_share_one(count: Count, metrics: Metrics) -> None:
    count(Echo())

    def start() -> None:
        server = WebSocketServer(("127.0.0.1", 0), metrics=metrics)
        try:
            server.start()
        finally:
            server.close()
            server._connections.stop_clock()
            get_hub().destroy(destroy_loop=True)

    pool = ThreadPool(1)
    with pytest.raises(RuntimeError, match="servers in several threads need a Metrics each"):
        pool.spawn(start).get(timeout=PATIENCE)
    pool.kill()
    gc.collect()


def test_another_thread_may_read_what_the_hub_then_counts(
    count: Count, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = count(Echo())
    site.connect()
    threads: list[int] = []
    counts_read = metrics._counts.read

    def read_here() -> Any:
        threads.append(thread_id())
        return counts_read()

    monkeypatch.setattr(metrics._counts, "read", read_here)
    read = get_hub().threadpool.apply(metrics._read)
    assert threads == [thread_id()]
    open_now = [each.value for each in read if each.family.name == "geventkws_websocket_connections"]
    assert open_now == [1]


def test_a_server_without_metrics_counts_nothing(serve: Callable[..., Site]) -> None:
    service = Echo()
    site = serve(service)
    client = site.connect()
    client.send(masked(TEXT, "x"))
    assert client.frame().payload == b"x"
    assert service.connections[0]._tally is None
