"""Several servers as one, within this process: how they start, stop, and what happens in between."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
import websocket
from gevent.event import AsyncResult, Event

from geventkws import ServiceRegistry, WebSocket, WebSocketServer, WebSocketService
from geventkws.cli.errors import ADDRESS, BROKEN, Failure
from geventkws.cli.reference import Reference
from geventkws.cli.serving import Plan, open_listeners, serve
from geventkws.cli.site import Site
from tests.certificates import Certificates
from tests.waiting import PATIENCE, wait_until

Start = Callable[..., tuple[Site, "gevent.Greenlet[..., Any]"]]

SHOUT = (("/chat", Reference.parse("chat:Shout")),)


@pytest.fixture
def start(project: Path, clean_process: None) -> Iterator[Start]:
    """Serve a plan; returns its site, and the greenlet that ends with it."""
    begun: list[tuple[Site, gevent.Greenlet[..., Any]]] = []

    def begin(plan: Plan, descriptors: tuple[int, ...] = ()) -> tuple[Site, gevent.Greenlet[..., Any]]:
        ready: AsyncResult[Site] = AsyncResult()
        greenlet = gevent.spawn(serve, plan, descriptors, ready.set)
        site = ready.get(timeout=PATIENCE)
        assert site
        begun.append((site, greenlet))
        with gevent.Timeout(PATIENCE):
            while not greenlet.ready() and not ports(site):
                gevent.sleep(0.005)
        return begun[-1]

    yield begin
    for site, greenlet in begun:
        site.stop()
        greenlet.join(PATIENCE)
        assert greenlet.ready()
    WebSocket.unregister("/chat")


def ports(site: Site) -> list[int]:
    """Return the ports, once all servers have started."""
    return [server.server_port or 0 for server in site.servers if server.started]


def client_of(site: Site, index: int = 0) -> websocket.WebSocket:
    return websocket.create_connection(f"ws://127.0.0.1:{ports(site)[index]}/chat", timeout=PATIENCE)


def close_code(client: websocket.WebSocket) -> int:
    opcode, data = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    client.shutdown()
    return int.from_bytes(data[:2], "big")


TWO = ("127.0.0.1:0", "127.0.0.1:0")


def test_all_servers_have_the_services_and_stop_together(start: Start) -> None:
    site, greenlet = start(Plan(Reference.parse("app:app"), SHOUT, TWO, access_log="off"))
    assert len(set(ports(site))) == 2
    assert requests.get(f"http://127.0.0.1:{ports(site)[1]}/", timeout=PATIENCE).text == "app\n"
    clients = [client_of(site, index) for index in range(2)]
    os.kill(os.getpid(), signal.SIGTERM)
    assert [close_code(client) for client in clients] == [1001, 1001]
    greenlet.get(timeout=PATIENCE)


def test_a_site_that_makes_way_closes_with_1012_and_calls_on_stop(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks = {"on_start": Reference.parse("chat:begin"), "on_stop": Reference.parse("chat:end")}
    site, greenlet = start(Plan(services=SHOUT, binds=TWO, options=hooks))
    client = client_of(site)
    site.restart(1)
    assert close_code(client) == 1012
    greenlet.get(timeout=PATIENCE)
    assert capsys.readouterr().out.startswith("on_start was called\non_stop was called\n")


def test_health_says_that_the_server_stops_while_it_still_listens(start: Start) -> None:
    site, greenlet = start(
        Plan(services=SHOUT, binds=TWO[:1], health="/up", drain_delay=0.3, access_log="json")
    )
    url = f"http://127.0.0.1:{ports(site)[0]}/up"
    assert requests.get(url, timeout=PATIENCE).status_code == 200
    stopping = gevent.spawn(site.stop)
    gevent.idle()
    assert requests.get(url, timeout=PATIENCE).status_code == 503
    stopping.get(timeout=PATIENCE)
    greenlet.get(timeout=PATIENCE)


def test_sockets_that_already_listen_are_used(start: Start, project: Path) -> None:
    path = project / "a.socket"
    plan = Plan(services=SHOUT, binds=("127.0.0.1:0", f"unix:{path}"), options={"unix_socket_mode": 0o600})
    with open_listeners(plan) as descriptors:
        copies = tuple(os.dup(descriptor) for descriptor in descriptors)
        site, _ = start(plan, copies)
        client = client_of(site)
        client.send("hello")
        assert client.recv() == "HELLO"
        client.close()
        site.stop()
        assert path.exists()
    assert not path.exists()


def test_an_exception_in_on_start_stops_everything_and_is_reported(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    site, greenlet = start(
        Plan(services=SHOUT, binds=TWO, options={"on_start": Reference.parse("chat:fail")})
    )
    with pytest.raises(Failure, match="--on-start failed: LookupError") as failure:
        greenlet.get(timeout=PATIENCE)
    assert failure.value.status == BROKEN
    assert all(server.closed for server in site.servers)
    assert "LookupError: no database" in capsys.readouterr().err


def test_if_one_address_is_not_available_none_is_used(start: Start) -> None:
    taken, _ = start(Plan(services=SHOUT, binds=TWO[:1]))
    site, greenlet = start(Plan(services=SHOUT, binds=(TWO[0], f"127.0.0.1:{ports(taken)[0]}")))
    with pytest.raises(Failure, match="Address already in use; is it running already") as failure:
        greenlet.get(timeout=PATIENCE)
    assert failure.value.status == ADDRESS
    assert all(server.closed for server in site.servers)


@pytest.mark.logs_errors
def test_sighup_reads_certificates_and_reopens_logs_that_were_moved(
    start: Start, project: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bundle, log = project / "server.pem", project / "root.log"
    bundle.write_bytes(Path(certificates.bothfile).read_bytes())
    handler = logging.FileHandler(log)
    logging.getLogger().addHandler(handler)
    site, _ = start(Plan(services=SHOUT, binds=TWO[:1], certfile=str(bundle)))
    log.rename(project / "root.log.1")
    os.kill(os.getpid(), signal.SIGHUP)
    wait_until(lambda: "the certificates were read again" in caplog.text)
    logging.getLogger().warning("behind it")
    assert "behind it" in log.read_text()
    bundle.write_text("no certificate")
    before = site.servers[0].ssl_context
    os.kill(os.getpid(), signal.SIGHUP)
    wait_until(lambda: "keeps the certificates it has" in caplog.text)
    assert site.servers[0].ssl_context is before
    assert log.read_text().count("behind it") == 1


def test_a_server_beside_the_others_stops_when_they_have_stopped() -> None:
    returning = Event()

    class Slow(WebSocketService):
        def disconnected(self, connection: Any, reason: Any) -> None:
            returning.wait(PATIENCE)

        def received(self, message: Any, connection: Any) -> None:
            """Never called."""

    services = ServiceRegistry()
    services.register(Slow(), "/")
    server, beside = (WebSocketServer(("127.0.0.1", 0), services=services) for _ in range(2))
    site = Site([("a server", server)], beside=[("one beside it", beside)])
    running = gevent.spawn(site.run)
    with gevent.Timeout(PATIENCE):
        while not beside.started:
            gevent.sleep(0.005)
    client = websocket.create_connection(f"ws://127.0.0.1:{server.server_port}/", timeout=PATIENCE)
    stopping = gevent.spawn(site.stop)
    assert client.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    assert (server.started, beside.started) == (False, True)
    returning.set()
    stopping.join(PATIENCE)
    running.join(PATIENCE)
    client.shutdown()
    assert not beside.started
    assert running.successful()
