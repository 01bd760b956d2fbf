"""The worker: requests, WebSockets, logs and limits, as gunicorn's configuration says."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from time import monotonic

import pytest

from tests.certificates import Certificates
from tests.gunicorn.conftest import Start, ended
from tests.raw import TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("measured")


def echo(client: RawClient, text: str = "hello") -> None:
    client.send(masked(TEXT, text))
    assert client.frame() == Frame(TEXT, text.encode())


@pytest.mark.once
@pytest.mark.parametrize("worker", ["gevent", "geventkws.gunicorn.Worker"])
def test_an_application_that_fails_at_start_ends_gunicorn_as_with_its_own_worker(
    worker: str, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("raise LookupError('no database')")
    server = start(worker=worker)
    assert server.wait() == 3
    assert "LookupError: no database" in server.output
    assert "Worker failed to boot" in server.output


class TestWhatIsServed:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_requests_and_websockets(self, start: Start, workers: int) -> None:
        server = start(workers=workers)
        pids = server.booted()
        assert int(server.get()) in pids
        client = server.connect("/echo")
        echo(client)
        server.signal(signal.SIGTERM)
        assert client.close_code()[0] == 1001
        client.reset()
        assert server.wait() == 0
        assert "Traceback" not in server.output
        assert "Warning" not in server.output

    def test_the_worker_has_a_short_name(self, start: Start) -> None:
        server = start(worker="egg:geventkws#geventkws")
        assert server.get() in map(str, server.booted())

    def test_tls(self, start: Start, certificates: Certificates) -> None:
        server = start("--certfile", certificates.certfile, "--keyfile", certificates.keyfile)
        assert server.get("/scheme", context=certificates.client()) == "https"
        echo(server.connect("/echo", context=certificates.client()))

    def test_a_unix_socket_whose_file_gunicorn_removes(self, start: Start, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        server = start(bind=f"unix:{path}")
        server.booted()
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(PATIENCE)
        plain.connect(str(path))
        with RawClient(0, "/echo", sock=plain) as client:
            echo(client)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not path.exists()

    def test_an_application_that_was_loaded_before_the_fork(self, start: Start) -> None:
        server = start("--preload", workers=2)
        pids = server.booted()
        assert server.get("/loaded") == str(server.pid)
        assert int(server.get()) in pids
        with server.connect("/echo") as client:
            echo(client)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        # Between two forks, gunicorn sleeps for a random time, which may be shorter than libuv can.
        assert "Warning" not in server.output.replace(
            "UserWarning: libuv only supports millisecond timer", ""
        )

    def test_server_options_in_a_worker_of_your_own(self, start: Start) -> None:
        conf = """
from geventkws.gunicorn import Worker

class worker_class(Worker):
    options = {
        "server_header": "own",
        "on_start": lambda: print("it starts"),
        "on_stop": lambda: print("it stops"),
    }
"""
        server = start(conf=conf)
        server.expect("it starts")
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert "Server: own" in client.read_head()
        server.signal(signal.SIGTERM)
        server.expect("it stops")
        assert server.wait() == 0

    def test_proxies_that_gunicorn_trusts_are_trusted(self, start: Start) -> None:
        server = start("--forwarded-allow-ips", "127.0.0.1")
        client = server.connect()
        client.send(b"GET /scheme HTTP/1.0\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert client.read_to_end().endswith(b"https")


@pytest.mark.once
class TestLimits:
    def test_worker_connections(self, start: Start) -> None:
        server = start("--worker-connections", "1")
        echo(server.connect("/echo"))
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.read_head().startswith("HTTP/1.1 503 ")

    def test_max_requests_counts_handshakes_and_websockets_may_come_back_at_once(self, start: Start) -> None:
        server = start("--max-requests", "4")
        [first] = server.booted()
        client = server.connect("/echo")
        other = server.connect("/echo")
        assert server.get() == str(first)
        echo(client)
        assert server.get() == str(first)
        for each in (client, other):
            assert each.close_code() == (1012, "")
            each.send(close_frame(1012))
        [second] = server.booted()
        assert server.get() == str(second)
        ended(first)
        assert "Autorestarting worker after current request" in server.output

    def test_a_callback_that_waits_longer_than_the_timeout_disturbs_no_heartbeat(self, start: Start) -> None:
        server = start("--timeout", "4")
        [pid] = server.booted()
        client = server.connect("/wait")
        client.send(masked(TEXT, "done"))
        server.expect("received done")
        began = monotonic()
        while monotonic() - began < 6:
            assert server.get() == str(pid)
        server.let("done")
        assert client.frame() == Frame(TEXT, b"done")

    def test_a_worker_whose_hub_is_blocked_is_replaced(self, start: Start) -> None:
        server = start("--timeout", "4")
        [first] = server.booted()
        server.connect().send(b"GET /block?never HTTP/1.1\r\nHost: h\r\n\r\n")
        server.expect("blocking")
        server.expect(rf"WORKER TIMEOUT \(pid:{first}\)")
        [second] = server.booted()
        assert server.get() == str(second)

    def test_a_window_that_does_not_fit_is_refused_before_anything_starts(self, start: Start) -> None:
        conf = """
from geventkws.gunicorn import Worker

class worker_class(Worker):
    options = {"drain_window": 31}
"""
        server = start(conf=conf, bind="127.0.0.1:00")
        server.expect(
            "Error: option 'drain_window' must not be longer than gunicorn's graceful_timeout, 30 s,"
            " not 31 s\n"
        )
        assert server.wait() == 1

    def test_so_are_options_that_no_server_would_accept(self, start: Start) -> None:
        conf = """
from geventkws.gunicorn import Worker

class worker_class(Worker):
    options = {"drain_cod": 1012}
"""
        server = start(conf=conf, bind="127.0.0.1:00")
        server.expect(r"Error: WebSocketServer has no option 'drain_cod'; did you mean 'drain_code'\?\n")
        assert server.wait() == 1


@pytest.mark.once
class TestLogs:
    @pytest.mark.parametrize(("workers", "warnings"), [(1, 0), (2, 1)])
    def test_channels_that_several_workers_do_not_share_are_warned_of_once(
        self, start: Start, tmp_path: Path, workers: int, warnings: int
    ) -> None:
        with (tmp_path / "app.py").open("a") as file:
            file.write("from geventkws.pubsub import PubSub\npubsub = PubSub()\n")
        server = start(workers=workers)
        if warnings:
            server.expect(r"PubSub\(\) has channels in each of the 2 workers")
        server.get()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.output.count("PubSub()") == warnings

    def test_gunicorns_access_log_in_its_format(self, start: Start) -> None:
        form = "%(h)s %(m)s %(U)s %(q)s %(s)s %(b)s %(L)s %({x-own}i)s"
        server = start("--access-logfile", "-", "--access-logformat", form)
        client = server.connect()
        client.send(b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-Own: d\x80\r\nConnection: close\r\n\r\n")
        size = len(client.read_to_end().rpartition(b"\r\n")[2])
        found = server.expect(r"127\.0\.0\.1 GET /a b=c 200 (\d+) (\d\.\d{6}) (\S+)\n")
        assert int(found[1]) == size
        assert float(found[2]) > 0
        assert found[3] == r"d\x80"
        client = server.connect("/echo")
        echo(client)
        client.send(close_frame(1000))
        server.expect(r"127\.0\.0\.1 GET /echo  101 11 \d\.\d{6} -\n")

    def test_what_was_not_understood_is_logged_too(self, start: Start) -> None:
        server = start("--access-logfile", "-", "--access-logformat", "%(r)s %(s)s")
        server.connect().send(b"nonsense\r\n\r\n")
        server.expect(r"- - HTTP/- 400\n")

    def test_without_an_access_log_there_is_none(self, start: Start) -> None:
        server = start()
        server.get("/silent")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "/silent" not in server.output

    def test_what_geventkws_logs_is_in_gunicorns_error_log(self, start: Start, tmp_path: Path) -> None:
        log = tmp_path / "error.log"
        server = start("--error-logfile", str(log), bind=f"unix:{tmp_path}/app.sock")
        wait_until(lambda: log.exists() and "Booting worker" in log.read_text())
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(PATIENCE)
        plain.connect(str(tmp_path / "app.sock"))
        with RawClient(0, "/echo", sock=plain) as client:
            echo(client)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert re.search(r"^\[.*\] \[\d+\] \[INFO\] Stopped$", log.read_text(), re.MULTILINE)

    def test_logconfig_decides(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "log.ini").write_text(
            "[loggers]\nkeys=root,own\n[handlers]\nkeys=out\n[formatters]\nkeys=own\n"
            "[logger_root]\nlevel=INFO\nhandlers=out\n"
            "[logger_own]\nlevel=DEBUG\nhandlers=out\nqualname=geventkws.server\npropagate=0\n"
            "[handler_out]\nclass=StreamHandler\nformatter=own\nargs=(sys.stdout,)\n"
            "[formatter_own]\nformat=own: %(name)s %(message)s\n"
        )
        server = start("--log-config", "log.ini")
        server.get()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert re.search(r"^own: geventkws.server Stopped$", server.output, re.MULTILINE)

    def test_usr1_reopens_the_files(self, start: Start, tmp_path: Path) -> None:
        log = tmp_path / "access.log"
        server = start("--access-logfile", str(log), "--access-logformat", "%(U)s")
        server.get("/before")
        log.rename(tmp_path / "access.1")
        server.signal(signal.SIGUSR1)
        wait_until(lambda: server.get("/after") and log.exists() and "/after" in log.read_text())
        assert (tmp_path / "access.1").read_text().startswith("/before\n")


@pytest.mark.once
def test_a_change_of_the_program_replaces_the_worker(start: Start, tmp_path: Path) -> None:
    server = start("--reload", "--reload-engine", "poll")
    [first] = server.booted()
    client = server.connect("/echo")
    echo(client)
    path = tmp_path / "app.py"
    path.with_suffix(".new").write_text(path.read_text() + "\n# changed\n")
    path.with_suffix(".new").replace(path)
    assert client.close_code() == (1012, "")
    client.send(close_frame(1012))
    [second] = server.booted()
    assert server.get() == str(second) != str(first)


def test_an_application_that_raises_keyboardinterrupt_ends_its_own_worker_alone(start: Start) -> None:
    server = start(workers=2)
    before = set(server.booted())
    server.connect().send(b"GET /interrupt HTTP/1.1\r\nHost: h\r\n\r\n")
    [new] = server.booted(1)
    assert new not in before
    assert len(server.children() & before) == 1
    assert int(server.get()) in server.children()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Bad file descriptor" not in server.output
