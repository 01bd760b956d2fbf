"""Which connections are taken in, and what those are told that are one too many."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
import requests

from geventkws.http.forwarded import TrustedProxies
from geventkws.server.reception import MAX_TURNED_AWAY, Admission
from tests.certificates import Certificates
from tests.integration.conftest import Recorder, Serve
from tests.integration.plain_http import answered, hello, turned_away
from tests.raw import RawClient
from tests.waiting import PATIENCE


class TestAdmission:
    """Counting by itself."""

    def counting(self, total: int | None = None, each: int | None = None, *proxies: str) -> Admission:
        return Admission(total, each, TrustedProxies(proxies))

    def test_without_a_limit_all_are_admitted_and_counted(self) -> None:
        admission = self.counting()
        assert all(admission.admit(("192.0.2.1", 5000)) for _ in range(100))
        assert admission.connections == 100

    def test_one_too_many_is_not_counted(self) -> None:
        admission = self.counting(total=1)
        assert admission.admit(("192.0.2.1", 1))
        assert not admission.admit(("192.0.2.2", 2))
        assert admission.connections == 1
        admission.leave(("192.0.2.1", 1))
        assert admission.admit(("192.0.2.2", 2))

    def test_each_address_is_counted_separately(self) -> None:
        admission = self.counting(each=1)
        assert admission.admit(("192.0.2.1", 1))
        assert not admission.admit(("192.0.2.1", 2))
        assert admission.admit(("192.0.2.2", 1))
        admission.leave(("192.0.2.1", 1))
        assert admission.admit(("192.0.2.1", 3))

    def test_an_ipv6_network_of_64_bits_is_one_client(self) -> None:
        admission = self.counting(each=1)
        assert admission.admit(("2001:db8::1", 1))
        assert not admission.admit(("2001:db8::ffff:2", 2))
        assert admission.admit(("2001:db8:0:1::1", 1))

    @pytest.mark.parametrize("peer", ["", ("192.0.2.9", 1)], ids=["a Unix socket", "a trusted proxy"])
    def test_a_peer_that_stands_for_many_counts_only_towards_the_total(self, peer: Any) -> None:
        admission = self.counting(3, 1, "192.0.2.9")
        assert [admission.admit(peer) for _ in range(4)] == [True, True, True, False]
        admission.leave(peer)
        assert admission.admit(peer)

    def test_nothing_is_kept_of_those_that_have_left(self) -> None:
        admission = self.counting(each=2)
        for number in range(10):
            assert admission.admit((f"192.0.2.{number}", 1))
        for number in range(10):
            admission.leave((f"192.0.2.{number}", 1))
        assert admission.connections == 0
        assert not admission._of_client


class TestConnections:
    def test_one_too_many_is_told_when_to_come_back(self, serve: Serve) -> None:
        site = serve(application=hello, max_connections=2)
        for _ in range(2):
            answered(site.connect(None))
        answer = requests.get(f"http://127.0.0.1:{site.port}/", timeout=PATIENCE)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0

    def test_there_is_room_when_one_has_left(self, serve: Serve) -> None:
        site = serve(application=hello, max_connections=1)
        first = site.connect(None)
        answered(first)
        assert turned_away(site)
        first.close()
        site.wait_until_empty()
        answered(site.connect(None))

    @pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
    def test_a_websocket_counts_until_it_is_over(self, serve: Serve, limit: str) -> None:
        service = Recorder()
        site = serve(service, application=hello, **{limit: 1})
        client = site.connect()
        service.expect("connected")
        assert turned_away(site)
        client.reset()
        site.wait_until_empty()
        answered(site.connect(None))

    @pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
    def test_those_turned_away_are_not_counted(self, serve: Serve, limit: str) -> None:
        site = serve(application=hello, **{limit: 1})
        first = site.connect(None)
        answered(first)
        assert all(turned_away(site) for _ in range(3))
        first.close()
        site.wait_until_empty()
        answered(site.connect(None))

    @pytest.mark.parametrize(("asked", "status"), [(True, 200), (False, 404)])
    def test_an_upgrade_that_nobody_accepts_is_no_longer_counted(
        self, serve: Serve, asked: bool, status: int
    ) -> None:
        site = serve(Recorder(), application=hello, max_connections_per_address=1, application_upgrades=asked)
        for _ in range(3):
            with RawClient(site.port, "/nowhere") as client:
                assert client.head.startswith(f"HTTP/1.1 {status} ")
            site.wait_until_empty()

    def test_many_that_do_not_leave_cost_a_limited_amount(self, serve: Serve) -> None:
        site = serve(application=hello, max_connections=1)
        answered(site.connect(None))
        clients = [site.connect(None) for _ in range(MAX_TURNED_AWAY + 20)]
        told = [client.read_to_end() for client in clients]
        assert told.count(b"") >= 1
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in told if answer)

    def test_the_clients_of_a_trusted_proxy_are_not_counted_by_its_address(self, serve: Serve) -> None:
        site = serve(application=hello, max_connections_per_address=1, trusted_proxies=["127.0.0.1"])
        for _ in range(3):
            answered(site.connect(None))


def test_only_a_limited_number_of_silent_newcomers_is_kept(serve: Serve, certificates: Certificates) -> None:
    site = serve(application=hello, max_connections=2, certfile=certificates.bothfile)
    clients = [site.connect(None) for _ in range(MAX_TURNED_AWAY + 20)]
    with gevent.Timeout(PATIENCE):
        while site.server.http_connections < MAX_TURNED_AWAY + 2:
            gevent.sleep(0.005)
    for client in clients[MAX_TURNED_AWAY + 2 :]:
        assert client.read_to_end() == b""
    assert site.server.http_connections == MAX_TURNED_AWAY + 2
