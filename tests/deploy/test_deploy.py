"""The files in ``examples/deploy``: each is checked by the program that reads it, and they fit together."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from geventkws.gunicorn.settings import LAST_SECONDS
from tests.certificates import Certificates
from tests.helpers import require_program
from tests.programs import EXAMPLES, ROOT, Program
from tests.raw import TEXT, Frame, RawClient, masked
from tests.waiting import PATIENCE, wait_until

DEPLOY = EXAMPLES / "deploy"

BIN = Path(sys.executable).parent

OPTIONS: dict[str, Any] = tomllib.loads((DEPLOY / "geventkws.toml").read_text())


def run(command: Sequence[str | Path], **options: Any) -> str:
    """Run a program that must find nothing wrong; return what it writes."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE * 3, **options
    )
    assert done.returncode == 0, done.stdout
    written: str = done.stdout
    return written


def test_the_program_serves_as_its_file_says(tmp_path: Path) -> None:
    for name in ("hello.py", "geventkws.toml"):
        shutil.copy(DEPLOY / name, tmp_path)
    environ = {
        "GEVENTKWS_BIND": "127.0.0.1:0",
        "GEVENTKWS_METRICS_BIND": "127.0.0.1:0",
    }
    command = (sys.executable, "-u", "-m", "geventkws", "serve")
    with Program(*command, cwd=tmp_path, env=environ) as server:
        ports = server.expect(r"Listening at: http://127\.0\.0\.1:(\d+),http://127\.0\.0\.1:(\d+)")
        assert get(int(ports[1]), "/") == b"Hello\n"
        assert json.loads(get(int(ports[1]), "/healthz")) == {"status": "ok"}
        assert b"\ngeventkws_http_connections " in get(int(ports[2]), "/")
        with RawClient(int(ports[1]), "/echo") as client:
            client.send(masked(TEXT, "hello"))
            assert client.frame() == Frame(TEXT, b"hello")
    assert "Traceback" not in server.output


def test_the_steps_of_the_guide(tmp_path: Path, certificates: Certificates) -> None:
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    program, options = (re.search(rf"```{name}\n(.*?)```", guide, re.DOTALL) for name in ("python", "toml"))
    assert program
    assert options
    (tmp_path / "hello.py").write_text(program[1])
    (tmp_path / "geventkws.toml").write_text(re.sub(r":\d{4}", ":0", options[1]))
    shutil.copy(certificates.certfile, tmp_path / "cert.pem")
    shutil.copy(certificates.keyfile, tmp_path / "key.pem")
    with Program(sys.executable, "-u", "-m", "geventkws", "serve", cwd=tmp_path) as server:
        port = server.expect(r"Listening at: https://127\.0\.0\.1:(\d+)")[1]
        metrics = int(server.expect(r"Listening on port (\d+) of 127\.0\.0\.1")[1])
        context = certificates.client()

        def ask(path: str) -> str:
            with urlopen(f"https://127.0.0.1:{port}{path}", timeout=PATIENCE, context=context) as response:
                return str(response.read().decode())

        assert ask("/") == "Hello\n"
        assert ask("/healthz") == '{"status": "ok"}\n'
        assert b"\ngeventkws_http_connections " in get(metrics, "/")
        (tmp_path / "hello.py").write_text(program[1].replace("Hello", "Hello again"))
        os.kill(int((tmp_path / "hello.pid").read_text()), signal.SIGHUP)
        wait_until(lambda: ask("/") == "Hello again\n")
        os.kill(int((tmp_path / "hello.pid").read_text()), signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.output


def get(port: int, target: str) -> bytes:
    with RawClient(port) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return client.read_to_end().partition(b"\r\n\r\n")[2]


class TestDocker:
    TEXT = (DEPLOY / "Dockerfile").read_text()

    def test_hadolint_finds_nothing(self) -> None:
        run([require_program(str(BIN / "hadolint"), "hadolint"), DEPLOY / "Dockerfile"])

    def test_it_does_not_run_as_root_and_signals_reach_it(self) -> None:
        [user] = re.findall(r"^USER (\d+):\d+$", self.TEXT, re.MULTILINE)
        assert int(user) > 0
        [command] = re.findall(r"^CMD (\[.*\])$", self.TEXT, re.MULTILINE)
        assert json.loads(command) == ["geventkws", "serve"]

    def test_its_health_check_succeeds_and_fails_as_it_should(self, tmp_path: Path) -> None:
        [check] = re.findall(r"^ +CMD (\[.*\])$", self.TEXT, re.MULTILINE)
        _, option, program = json.loads(check)
        answer = "def app(environ, start_response):\n start_response('%s', [])\n return []\n"
        for status, expected in (("200 OK", 0), ("503 Service Unavailable", 1)):
            (tmp_path / "up.py").write_text(answer % status)
            command = (sys.executable, "-u", "-m", "geventkws", "serve", "up:app", "--bind", "127.0.0.1:0")
            with Program(*command, cwd=tmp_path) as server:
                port = server.expect(r"Listening on port (\d+)")[1]
                asked = program.replace(":8000/", f":{port}/")
                done = subprocess.run(
                    [sys.executable, option, asked], stderr=subprocess.DEVNULL, timeout=PATIENCE
                )
            assert done.returncode == expected

    def test_everything_that_is_copied_is_there(self) -> None:
        for names in re.findall(r"^COPY (?!--from)(.*) \S+$", self.TEXT, re.MULTILINE):
            for name in names.split():
                assert (DEPLOY / name).is_file()


class TestSystemd:
    @pytest.fixture
    def units(self, tmp_path: Path) -> list[Path]:
        """The units, with a virtual environment that exists."""
        for name in ("hello.socket", "hello.service"):
            text = (DEPLOY / "systemd" / name).read_text()
            (tmp_path / name).write_text(text.replace("/srv/hello/venv/bin", str(BIN)))
        return [tmp_path / "hello.socket", tmp_path / "hello.service"]

    def test_systemd_finds_nothing_wrong(self, units: list[Path]) -> None:
        assert run([require_program("systemd-analyze"), "verify", "--man=no", *units]) == ""

    def test_the_service_is_hardened(self, units: list[Path]) -> None:
        # In tenths: systemd calls 2.0 "OK", and a service without any of this is at 9.6.
        run([require_program("systemd-analyze"), "security", "--offline=true", "--threshold=20", units[1]])

    def test_it_has_the_time_to_stop(self, units: list[Path]) -> None:
        [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", units[1].read_text(), re.MULTILINE)
        assert int(seconds) > OPTIONS["stop-timeout"] + LAST_SECONDS


class TestProxies:
    def test_nginx_finds_nothing_wrong(self, tmp_path: Path, certificates: Certificates) -> None:
        text = (DEPLOY / "nginx" / "hello.conf").read_text()
        text = text.replace("/etc/ssl/hello.pem", certificates.certfile)
        (tmp_path / "hello.conf").write_text(text.replace("/etc/ssl/hello.key", certificates.keyfile))
        paths = "".join(
            f"{name}_temp_path {tmp_path}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path}/pid; events {{}}"
            f" http {{ access_log off; {paths} include {tmp_path}/hello.conf; }}"
        )
        nginx = require_program("nginx", "/usr/sbin/nginx")
        assert "warn" not in run([nginx, "-t", "-e", "stderr", "-c", f"{tmp_path}/nginx.conf"])

    def test_haproxy_finds_nothing_wrong(self, tmp_path: Path, certificates: Certificates) -> None:
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        (tmp_path / "haproxy.cfg").write_text(
            text.replace("/etc/ssl/hello-with-key.pem", certificates.bothfile)
        )
        written = run([require_program("haproxy", "/usr/sbin/haproxy"), "-c", "-f", tmp_path / "haproxy.cfg"])
        assert "WARNING" not in written


class TestKubernetes:
    PATH = DEPLOY / "kubernetes" / "hello.yaml"

    @pytest.fixture
    def pod(self) -> Any:
        yaml = pytest.importorskip("yaml")
        deployment, *_ = yaml.safe_load_all(self.PATH.read_text())
        return deployment["spec"]["template"]["spec"]

    def test_it_is_as_the_schemas_of_kubernetes_say(self) -> None:
        program = require_program(str(BIN / "kubernetes-validate"), "kubernetes-validate")
        assert run([program, "--strict", self.PATH], env=os.environ).count(" passed ") == 3

    def test_it_asks_where_the_program_answers(self, pod: Any) -> None:
        [container] = pod["containers"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert OPTIONS["bind"] == f":{ports['http']}"
        assert OPTIONS["metrics-bind"] == f":{ports['metrics']}"
        assert container["readinessProbe"]["httpGet"] == {"path": OPTIONS["health"], "port": "http"}

    def test_a_pod_has_the_time_to_stop(self, pod: Any) -> None:
        pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > pause + OPTIONS["stop-timeout"] + LAST_SECONDS
