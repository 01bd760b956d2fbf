"""Options from the environment and from files, and which of them wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from geventkws.cli import serving
from geventkws.cli.commands import commands
from geventkws.cli.errors import USAGE
from geventkws.cli.serving import Plan
from tests.cli.conftest import Fail


@pytest.fixture
def plan(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Return the plan that a command line makes, without serving it."""
    plans: list[Plan] = []
    monkeypatch.setattr(serving, "serve", plans.append)

    def understand(*arguments: str) -> Plan:
        assert commands.main(["serve", *arguments], standalone_mode=False, obj={}) == 0
        return plans[-1]

    return understand


def test_what_is_not_given_is_left_to_the_server(plan) -> None:
    assert plan("app:app").options == {}
    assert plan("app:app").binds == ("127.0.0.1:8000",)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--max-requests", "5"], "max_requests", 5),
        (["--max-requests", "none"], "max_requests", None),
        (["--max-body-size", "2MiB"], "max_body_size", 2 * 1024 * 1024),
        (["--max-body-size", "64 k"], "max_body_size", 64 * 1024),
        (["--send-timeout", "0.5"], "send_timeout", 0.5),
        (["--send-timeout", "None"], "send_timeout", None),
        (["--proxy-protocol"], "proxy_protocol", True),
        (["--no-proxy-protocol"], "proxy_protocol", False),
        (["--unix-socket-mode", "0o660"], "unix_socket_mode", 0o660),
        (["--unix-socket-mode", "660"], "unix_socket_mode", 0o660),
        (["--server-header", "none"], "server_header", None),
        (
            ["--trusted-proxies", "10.0.0.0/8", "--trusted-proxies", "unix"],
            "trusted_proxies",
            ("10.0.0.0/8", "unix"),
        ),
        (["--backlog", "10"], "backlog", 10),
    ],
    ids=str,
)
def test_an_option_of_the_server_is_given_by_flag(
    plan, arguments: list[str], name: str, value: object
) -> None:
    assert plan("app:app", *arguments).options == {name: value}


def test_the_command_line_beats_the_environment_which_beats_the_file(
    plan, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "geventkws.toml").write_text("max-requests = 1\n")
    assert plan("app:app").options == {"max_requests": 1}
    monkeypatch.setenv("GEVENTKWS_MAX_REQUESTS", "2")
    assert plan("app:app").options == {"max_requests": 2}
    assert plan("app:app", "--max-requests", "3").options == {"max_requests": 3}


def test_everything_may_be_set_in_the_environment(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEVENTKWS_APP", "app:app")
    monkeypatch.setenv("GEVENTKWS_BIND", "127.0.0.1:1 [::1]:2")
    monkeypatch.setenv("GEVENTKWS_SERVICE", "/a=chat:Shout /b=chat:named")
    monkeypatch.setenv("GEVENTKWS_PROXY_PROTOCOL", "true")
    found = plan()
    assert found.application.text == "app:app"
    assert found.binds == ("127.0.0.1:1", "[::1]:2")
    assert [(path, reference.text) for path, reference in found.services] == [
        ("/a", "chat:Shout"),
        ("/b", "chat:named"),
    ]
    assert found.options == {"proxy_protocol": True}


FILE = """
app = "app:app"
bind = ["127.0.0.1:0", "unix:/tmp/s"]
access-log = "json"
max_body_size = "1MiB"
send-timeout = 2
trusted-proxies = "unix"
reload = false

[service]
"/a" = "chat:Shout"

[certificate]
"*.example.org" = ["cert.pem", "key.pem"]
"""


@pytest.mark.parametrize("name", ["geventkws.toml", "pyproject.toml", "other.toml"])
def test_everything_may_be_set_in_a_file(plan, project: Path, name: str) -> None:
    text = "certfile = 'c.pem'\n" + FILE
    if name == "pyproject.toml":
        text = "[project]\nname = 'site'\n[tool.geventkws]\n" + text.replace("[", "[tool.geventkws.").replace(
            "= [tool.geventkws.", "= ["
        )
    (project / name).write_text(text)
    found = plan(*(["--config", name] if name == "other.toml" else []))
    assert found.application.text == "app:app"
    assert found.binds == ("127.0.0.1:0", "unix:/tmp/s")
    assert found.access_log == "json"
    assert [(path, reference.text) for path, reference in found.services] == [("/a", "chat:Shout")]
    assert found.certificates == {"*.example.org": ("cert.pem", "key.pem")}
    assert found.options == {"max_body_size": 1024 * 1024, "send_timeout": 2, "trusted_proxies": ("unix",)}


def test_a_pyproject_without_our_table_is_not_a_mistake(plan, project: Path) -> None:
    (project / "pyproject.toml").write_text("[project]\nname = 'site'\n")
    assert plan("app:app").options == {}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("max-request = 1", "geventkws.toml: there is no option 'max-request'; did you mean 'max_requests'?"),
        ("config = 'x'", "geventkws.toml: there is no option 'config'"),
        ("max-requests = [1]", "geventkws.toml: max-requests must be one value, not [1]"),
        ("max-requests = 0", "'--max-requests'"),
        ("max-requests = true", "must be a whole number, not True"),
        ("max-requests =", "geventkws.toml: Invalid value"),
        ("service = ['chat:Shout']", "is not PATH=MODULE:SERVICE"),
    ],
)
def test_a_mistake_in_the_file_is_reported(project: Path, fail: Fail, text: str, mistake: str) -> None:
    (project / "geventkws.toml").write_text(text + "\n")
    status, written = fail("serve", "app:app")
    assert status == USAGE
    assert mistake in written
    assert len(written.splitlines()) == 1


def test_a_file_for_the_environment_adds_to_it_and_changes_nothing(
    plan, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "an.env").write_text("GEVENTKWS_MAX_REQUESTS=7\nGEVENTKWS_SEND_TIMEOUT=7\nA_SECRET='x y'\n")
    monkeypatch.setenv("GEVENTKWS_SEND_TIMEOUT", "8")
    for name in ("GEVENTKWS_MAX_REQUESTS", "A_SECRET"):
        monkeypatch.setenv(name, "")  # so that monkeypatch removes it in the end
        monkeypatch.delenv(name)
    assert plan("app:app", "--env-file", "an.env").options == {"max_requests": 7, "send_timeout": 8}
    assert os.environ["A_SECRET"] == "x y"
