"""The help lists every option by group, from the one place where it is described."""

from __future__ import annotations

import re
import tomllib

import pytest
from click.testing import CliRunner

from geventkws.cli import main
from geventkws.cli.commands import commands, serve
from geventkws.cli.help import Setting
from geventkws.cli.reference import Reference
from geventkws.cli.serve_settings import GROUPS
from geventkws.options import ABOUT
from tests.programs import ROOT


def help_of(*command: str) -> str:
    result = CliRunner().invoke(commands, [*command, "--help"], prog_name="geventkws")
    assert result.exit_code == 0
    return result.output


def test_every_server_option_is_an_option_of_the_command_line() -> None:
    text = help_of("serve")
    for name, about in ABOUT.items():
        assert f"  --{name.replace('_', '-')} " in text
        first_words = " ".join(re.sub("`", "", about.limits).split()[:3])
        assert first_words in " ".join(text.split())


def test_the_groups_come_in_order_and_every_option_has_one() -> None:
    found = re.findall(r"^(\w+):$", help_of("serve"), re.MULTILINE)
    assert found == ["Help", *GROUPS] or found == [*GROUPS, "Help"]
    assert all(isinstance(each, Setting) for each in serve.params[1:])


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ("--max-send-buffer", "[1 MiB]"),
        ("--max-head-size", "[64 KiB]"),
        ("--keepalive-timeout", "[75 s]"),
        ("--max-requests", "[10,000]"),
        ("--max-body-size", "[none]"),
        ("--proxy-protocol", "[off]"),
        ("--server-header", "[geventkws]"),
        ("--bind", "[127.0.0.1:8000]"),
    ],
)
def test_a_default_is_shown_as_people_write_it(option: str, default: str) -> None:
    behind = help_of("serve").partition(f"  {option} ")[2]
    entry = re.split(r"\n  --|\n\n", behind)[0]
    assert default in " ".join(entry.split())


def test_every_option_has_a_variable_of_its_name() -> None:
    variables = {each.envvar for each in serve.params}
    assert {"GEVENTKWS_APP", "GEVENTKWS_BIND", "GEVENTKWS_SERVICE", "GEVENTKWS_MAX_REQUESTS"} <= variables
    assert len(variables) == len(serve.params)


def test_the_command_that_is_installed_is_this_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Reference.parse(project["scripts"]["geventkws"]).load("commands", callable) is main


def test_without_a_command_the_commands_are_listed() -> None:
    result = CliRunner().invoke(commands, [])
    assert result.exit_code == 0
    for command in ("serve", "connect"):
        assert f"  {command} " in result.output
