"""How fast a client may send, by a clock of the test's."""

from __future__ import annotations

import logging
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from gevent.event import Event as Signal

from geventkws import PerMessageDeflate, WebSocketConnection, WebSocketService
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.protocol.deflate import Deflate
from geventkws.websocket.meter import Meter, meter_for
from tests.certificates import Certificates
from tests.helpers import in_hub
from tests.integration.conftest import Recorder, Serve
from tests.raw import BINARY, PING, PONG, TEXT, Frame, close_frame, masked
from tests.tls import tls_socket
from tests.waiting import PATIENCE
from tests.websocket.lines import Line, Start

SLOWLY = 0.001
"""A rate at which nothing accrues while a test lasts, except by its own clock."""


class Keeper(WebSocketService):
    """Keeps what it is told; its attributes are the test's."""

    def __init__(self, **attributes: Any) -> None:
        self.told: list[Any] = []
        vars(self).update(attributes)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self.told.append(message)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        self.told.append(reason)


def messages(number: int, **attributes: Any) -> Keeper:
    """Return a service whose clients may send ``number`` messages at once."""
    return Keeper(max_message_rate=SLOWLY, rate_burst=number / SLOWLY, **attributes)


def some_bytes(number: int, **attributes: Any) -> Keeper:
    """Return a service whose clients may send ``number`` bytes at once."""
    return Keeper(max_byte_rate=SLOWLY, rate_burst=number / SLOWLY, **attributes)


def received(messages: int = 0, count: int = 0) -> Any:
    return SimpleNamespace(messages_received=messages, bytes_received=count)


def wait_until_slowed(line: Line) -> None:
    line.until(lambda: line.channel.paused_at is not None)


def wait_until_told(line: Line, service: Keeper, number: int) -> None:
    line.until(lambda: len(service.told) >= number)


class Clock:
    """The clock of a server, which looks at one connection."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._now = monotonic()

    def accrue(self, tokens: float) -> None:
        """Look when so many tokens more have accrued, and a bit, since the time itself goes on."""
        self._now += (tokens + 0.01) / SLOWLY
        in_hub(self._line.connection._check, self._now)


class TestABucket:
    def test_holds_what_may_arrive_at_once(self) -> None:
        meter = Meter(Keeper(max_message_rate=2, rate_burst=1.5), now=100.0)
        meter.measure(received(2), 100.0)
        assert not meter.is_empty
        in_hub(meter.measure, received(3), 100.0)
        assert meter.is_empty

    def test_fills_at_its_rate(self) -> None:
        meter = Meter(Keeper(max_message_rate=2, rate_burst=1.5), now=100.0)
        in_hub(meter.measure, received(4), 100.0)
        meter.fill(100.9)
        assert meter.is_empty, "the fourth has been owed"
        meter.fill(101.0)
        assert not meter.is_empty

    def test_holds_no_more_however_long_the_pause(self) -> None:
        meter = Meter(Keeper(max_message_rate=2, rate_burst=1.5), now=100.0)
        meter.fill(10_000)
        in_hub(meter.measure, received(3), 10_000)
        assert meter.is_empty

    def test_loses_nothing_when_the_clock_is_behind(self) -> None:
        meter = Meter(Keeper(max_message_rate=2, rate_burst=1), now=100.0)
        meter.measure(received(1), 101.0)
        meter.fill(100.0)
        assert not meter.is_empty

    def test_holds_one_token_at_least(self) -> None:
        meter = Meter(Keeper(max_message_rate=0.1), now=100.0)
        in_hub(meter.measure, received(1), 100.0)
        assert meter.is_empty
        meter.fill(109.9)
        assert meter.is_empty
        meter.fill(110.0)
        assert not meter.is_empty

    def test_is_there_for_each_limit(self) -> None:
        for counts in (received(2, 10), received(1, 100)):
            meter = Meter(Keeper(max_message_rate=2, max_byte_rate=100), now=0)
            in_hub(meter.measure, counts, 0)
            assert meter.is_empty


def test_there_is_no_meter_without_a_limit(start: Start) -> None:
    assert meter_for(Keeper(rate_burst=5, rate_policy="close"), 0) is None
    assert start(Keeper()).connection._meter is None


@pytest.mark.parametrize(
    ("attributes", "secure", "size"),
    [
        ({"max_message_rate": 5}, False, 65536),
        ({"max_byte_rate": 1000}, False, 1000),
        ({"max_byte_rate": 1000}, True, 1000 + MAX_CIPHERTEXT),
        ({"max_byte_rate": 0.1}, False, 1),
        ({"max_byte_rate": 100_000}, False, 65536),
        ({"max_byte_rate": 1000, "rate_policy": "close"}, False, 65536),
    ],
)
def test_no_more_is_read_at_once_than_may_arrive(attributes: Any, secure: bool, size: int) -> None:
    assert Meter(Keeper(**attributes), 0).size_to_read(65536, secure) == size


class TestAClientThatSendsTooManyMessages:
    def test_has_to_wait(self, start: Start) -> None:
        service = messages(3)
        line = start(service)
        clock = Clock(line)
        line.peer.send(b"".join(masked(TEXT, str(number)) for number in range(6)))
        wait_until_slowed(line)
        assert service.told == ["0", "1", "2"]
        clock.accrue(0.9)
        assert line.channel.paused_at is not None
        clock.accrue(1.2)
        wait_until_told(line, service, 5)
        assert line.channel.paused_at is not None
        clock.accrue(3)
        wait_until_told(line, service, 6)
        assert line.channel.paused_at is None, "and may send again"
        assert service.told == ["0", "1", "2", "3", "4", "5"]

    def test_waits_for_the_time_and_for_the_service(self, start: Start) -> None:
        # A callback that has taken a message makes room in the inbox, but no tokens.
        go_on = Signal()

        class Slow(Keeper):
            def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
                super().received(message, connection)
                go_on.wait(PATIENCE)

        service = Slow(max_message_rate=SLOWLY, rate_burst=3 / SLOWLY)
        line = start(service, max_inbox_messages=1)
        clock = Clock(line)
        line.peer.send(b"".join(masked(TEXT, str(number)) for number in range(5)))
        wait_until_slowed(line)
        assert service.told == ["0"]
        clock.accrue(0.5)
        assert line.channel.paused_at is not None, "the inbox is full"
        go_on.set()
        wait_until_told(line, service, 3)
        assert line.channel.paused_at is not None, "the bucket is empty"
        clock.accrue(2)
        wait_until_told(line, service, 5)

    def test_is_not_taken_for_silent(self, start: Start) -> None:
        line = start(messages(1, connection_timeout=10))
        line.peer.send(masked(TEXT, "1"))
        wait_until_slowed(line)
        in_hub(line.connection._check, monotonic() + 100)
        assert line.connection._pinged_at is None
        assert line.connection.active

    def test_waits_in_the_pull_style_too(self, start: Start) -> None:
        class Puller(Keeper):
            received = WebSocketService.received

            def run(self, connection: WebSocketConnection) -> None:
                self.told.extend(connection)

        service = Puller(max_message_rate=SLOWLY, rate_burst=2 / SLOWLY)
        line = start(service)
        clock = Clock(line)
        line.peer.send(b"".join(masked(TEXT, str(number)) for number in range(3)))
        line.until(lambda: line.channel.paused_at is not None and len(service.told) == 2)
        clock.accrue(1)
        wait_until_told(line, service, 3)

    def test_may_be_closed_meanwhile(self, start: Start) -> None:
        service = messages(1)
        line = start(service)
        line.peer.send(masked(TEXT, "1") + masked(TEXT, "2") + close_frame(1000))
        wait_until_slowed(line)
        line.connection.close(4000, "enough")
        assert line.peer.close_code() == (4000, "enough")
        line.until(lambda: service.told == ["1", 4000])

    def test_is_told_of_once_for_each_service(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        for service in (messages(1), messages(1)):
            for _ in range(2):
                line = start(service)
                line.peer.send(masked(TEXT, "1"))
                wait_until_slowed(line)
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        text = "Clients of Keeper that send more than 0.001 messages per second are read no faster than that"
        assert told == [text, text]


class TestAClientThatSendsTooManyBytes:
    def test_has_to_wait_even_within_a_message(self, start: Start) -> None:
        service = some_bytes(100)
        line = start(service)
        clock = Clock(line)
        line.peer.send(masked(BINARY, bytes(300)))
        wait_until_slowed(line)
        assert line.connection.traffic.bytes_received == 100
        clock.accrue(50)
        wait_until_slowed(line)
        assert line.connection.traffic.bytes_received == 150
        for _ in range(2):
            clock.accrue(100)
            line.until(lambda: line.channel.paused_at is not None or service.told)
        assert service.told == [bytes(300)]

    def test_pays_for_its_pings_as_well(self, start: Start) -> None:
        line = start(some_bytes(8))
        line.peer.send(masked(PING, b"ab") * 2)
        assert line.peer.frame() == Frame(PONG, b"ab")
        wait_until_slowed(line)
        assert line.connection.traffic.bytes_received == 8

    def test_pays_for_what_is_on_the_wire(self, serve: Serve) -> None:
        service = Recorder()
        service.max_byte_rate, service.compression = 10_000, PerMessageDeflate()
        site = serve(service)
        client = site.connect("/service", "Sec-WebSocket-Extensions: permessage-deflate")
        service.expect("connected")
        _, payload = Deflate(PerMessageDeflate()).encode(BINARY, bytes(1 << 20), True)
        assert len(payload) < service.max_byte_rate
        client.send(bytes((0xC2,)) + masked(BINARY, payload)[1:])
        service.expect("received", bytes(1 << 20))
        assert service.connections[0]._meter is not None
        assert not service.connections[0]._meter.is_empty


class TestWithThePolicyClose:
    def test_too_many_messages_end_the_connection_with_1008(self, start: Start) -> None:
        service = messages(3, rate_policy="close")
        line = start(service)
        line.peer.send(b"".join(masked(TEXT, str(number)) for number in range(5)))
        assert line.peer.close_code() == (1008, "At most 0.001 messages per second are accepted here")
        line.until(lambda: service.told == ["0", "1", "2", 1008])

    def test_nobody_is_slowed(self, start: Start) -> None:
        service = messages(2, rate_policy="close")
        line = start(service)
        line.peer.send(masked(TEXT, "1") * 2)
        wait_until_told(line, service, 2)
        Clock(line).accrue(0.5)
        assert line.connection._meter is not None
        assert not line.connection._meter.is_empty
        line.peer.send(masked(TEXT, "2"))
        assert line.peer.close_code()[0] == 1008

    def test_too_many_bytes_end_it_before_the_message_is_complete(self, start: Start) -> None:
        service = some_bytes(1000, rate_policy="close")
        line = start(service)
        line.peer.send(masked(BINARY, bytes(2000))[:1500])
        assert line.peer.close_code() == (1008, "At most 0.001 bytes per second are accepted here")
        line.until(lambda: service.told == [1008])

    def test_what_is_allowed_goes_on(self, start: Start) -> None:
        service = messages(2, rate_policy="close")
        line = start(service)
        clock = Clock(line)
        for number in range(10):
            line.peer.send(masked(TEXT, str(number)))
            wait_until_told(line, service, number + 1)
            assert line.channel.paused_at is None
            clock.accrue(1)

    def test_it_is_told_of_once_for_each_service(
        self, start: Start, caplog: pytest.LogCaptureFixture
    ) -> None:
        service = messages(1, rate_policy="close")
        for _ in range(2):
            line = start(service)
            line.peer.send(masked(TEXT, "1") * 2)
            assert line.peer.close_code()[0] == 1008
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told == [
            "Clients of Keeper that send more than 0.001 messages per second are closed with 1008"
        ]

    def test_what_follows_is_not_held_against_a_connection_that_closes(self, start: Start) -> None:
        service = messages(1, rate_policy="close")
        line = start(service)
        line.connection.close(4000)
        assert line.peer.close_code() == (4000, "")
        line.peer.send(masked(TEXT, "1") * 5 + close_frame(4000))
        line.until(lambda: service.told == [4000])


class TestAServer:
    """The whole of it, by the real clock: only that it takes long enough can be told for certain."""

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_reads_bytes_at_the_rate(self, serve: Serve, certificates: Certificates, secure: bool) -> None:
        service = Recorder()
        service.max_byte_rate, service.rate_burst = 100_000, 0.1
        options: dict[str, Any] = {"ssl_context": certificates.server()} if secure else {}
        site = serve(service, **options)
        began = monotonic()
        client = site.connect(sock=tls_socket(site.port, certificates.client()) if secure else None)
        service.expect("connected")
        assert site.server._connections._interval <= service.rate_burst / 8
        client.send(masked(BINARY, bytes(60_000)))
        service.expect("received", bytes(60_000))
        # 10,000 may come at once; and over TLS a whole record early.
        assert monotonic() - began >= (0.25 if secure else 0.45)
