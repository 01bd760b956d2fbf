"""Mistakes are reported in one line, with the remedy, and by the exit status."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from geventkws.cli.errors import ADDRESS, BROKEN, CERTIFICATE, USAGE
from tests.cli.conftest import Fail
from tests.programs import PYTHONPATH
from tests.waiting import PATIENCE

pytestmark = pytest.mark.once  # its programs are those of a user, whatever they run on

MISTAKES: dict[str, tuple[list[str], int, str]] = {
    "no module": (["ap:app"], USAGE, "'ap:app': there is no module 'ap'; did you mean 'app'?"),
    "no module like it": (["zzz:app"], USAGE, ": app, chat (--app-dir sets where to look)"),
    "no package": (["app.zzz:app"], USAGE, "there is no module 'app.zzz'"),
    "no name": (["app:ap"], USAGE, "there is no 'ap' in app; did you mean 'app'?"),
    "no name like it": (["app:zzz"], USAGE, "; applications in app: app, create_app"),
    "no colon": (["app"], USAGE, "Invalid value for 'APP': 'app' is not 'module:name': write 'app:app'"),
    "no application": (["chat:named"], USAGE, "not a WSGI application"),
    "no call": (["chat:named()"], USAGE, "named cannot be called: write 'chat:named'"),
    "no service of the name": (["--service", "/c=chat:Shot"], USAGE, "in chat; did you mean 'Shout'?"),
    "services there are": (["--service", "/c=chat:zzz"], USAGE, "; services in chat: Named, Shout, named"),
    "no service": (["--service", "/c=chat:begin"], USAGE, "'chat:begin' is not a service"),
    "a service with arguments": (["--service", "/c=chat:Named"], USAGE, "as in 'chat:Named(...)'"),
    "no path": (["--service", "chat:Shout"], USAGE, "such as /chat=chat:ChatService"),
    "a bad path": (["--service", "/<>=chat:Shout"], USAGE, "--service /<>=chat:Shout: "),
    "nothing": ([], USAGE, "nothing to serve: give an APP such as app:app, or --service"),
    "a call that fails": (["app:create_app()"], BROKEN, "app:create_app() failed: TypeError, see above"),
    "a service that fails": (
        ["--service", "/c=chat:Named(1, 2)"],
        BROKEN,
        "chat:Named(1, 2) failed: TypeError",
    ),
    "a hook that fails": (
        ["app:app", "--bind", ":0", "--on-start", "chat:fail"],
        BROKEN,
        "--on-start failed: Looku",
    ),
    "a hook that is none": (["app:app", "--on-stop", "chat:named"], USAGE, "not a function"),
    "no such option": (["app:app", "--max-conections", "1"], USAGE, "--max-connections"),
    "an option of other servers": (["app:app", "--port", "1"], USAGE, "Did you mean '--bind :PORT'?"),
    "no number": (["app:app", "--max-requests", "many"], USAGE, "must be a whole number"),
    "too small": (
        ["app:app", "--max-requests", "0"],
        USAGE,
        "must be greater than 0 (none: no limit), not 0",
    ),
    "none where there must be one": (["app:app", "--max-fragments", "none"], USAGE, "must be a whole number"),
    "no seconds": (["app:app", "--send-timeout", "inf"], USAGE, "must be a number of seconds, not 'inf'"),
    "no mode": (["app:app", "--unix-socket-mode", "999"], USAGE, "must be an octal number such as 660"),
    "no network": (["app:app", "--trusted-proxies", "proxy"], USAGE, "'proxy' does not appear to be"),
    "no Unix socket": (["app:app", "--unix-socket-mode", "660"], USAGE, "are for a listener 'unix:"),
    "a port too large": (["app:app", "--bind", "127.0.0.1:65536"], USAGE, "65536"),
    "no port": (["app:app", "--bind", "localhost"], USAGE, "localhost"),
    "another's address": (["app:app", "--bind", "192.0.2.1:0"], ADDRESS, "this machine does not have that"),
    "no systemd": (["app:app", "--bind", "systemd"], ADDRESS, "cannot listen on systemd: systemd passed no"),
    "no such certificate": (["app:app", "--certfile", "no.pem"], CERTIFICATE, "'no.pem': No such file"),
    "no certificate": (["app:app", "--certfile", "app.py"], CERTIFICATE, "'app.py'"),
    "a key alone": (["app:app", "--keyfile", "app.py"], USAGE, "need --certfile"),
    "no name of a certificate": (["app:app", "--certificate", "cert.pem"], USAGE, "is not NAME=CERT,KEY"),
    "a health without slash": (["app:app", "--health", "up"], USAGE, "write '/up'"),
    "no such env file": (["app:app", "--env-file", "no.env"], USAGE, "File 'no.env' does not exist"),
    "a log level": (["app:app", "--log-level", "loud"], USAGE, "'loud' is not one of"),
}


@pytest.mark.parametrize(("arguments", "status", "text"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_in_one_line_with_the_remedy(
    fail: Fail, arguments: list[str], status: int, text: str
) -> None:
    found, written = fail("serve", *arguments)
    last = written.splitlines()[-1]
    assert text in last
    assert last.startswith("Error: ")
    assert found == status
    if status != BROKEN:
        assert "Traceback" not in written


def test_a_port_in_use_is_reported_with_the_remedy(fail: Fail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, written = fail("serve", "app:app", "--bind", address)
    assert status == ADDRESS
    assert written == (
        f"Error: cannot listen on {address}: Address already in use; is it running already?"
        " --bind chooses another\n"
    )


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("def app(:\n", "SyntaxError"),
        ("import nothing_of_the_kind\n", "ModuleNotFoundError"),
        ("1 / 0\n", "Zero"),
    ],
)
def test_a_module_that_fails_shows_where_and_nothing_of_the_command_line(
    project: Path, fail: Fail, source: str, kind: str
) -> None:
    (project / "broken.py").write_text(source)
    status, written = fail("serve", "broken:app")
    assert status == BROKEN
    assert "broken.py" in written
    assert source.strip() in written
    assert "geventkws" not in written
    assert written.splitlines()[-1].startswith(f"Error: importing broken failed: {kind}")


def test_a_missing_package_of_the_extra_is_named(tmp_path: Path) -> None:
    program = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from geventkws.cli import main
main()
"""
    (tmp_path / "an.env").write_text("A=1\n")
    for missing, arguments, package, extra in (
        ("click", ["serve"], "click", "cli"),
        ("dotenv", ["serve", "app:app", "--env-file", "an.env"], "python-dotenv", "cli"),
        ("watchfiles", ["serve", "app:app", "--reload"], "watchfiles", "cli"),
        ("websocket", ["connect", "ws://127.0.0.1:1/"], "websocket-client", "cli"),
        ("prometheus_client", ["serve", "app:app", "--metrics", "/m"], "prometheus_client", "metrics"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, missing, *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": PYTHONPATH},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.stderr.startswith("Error: ")
        assert f"needs {package}: pip install 'geventkws[{extra}]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.returncode == (1 if missing == "click" else USAGE)
