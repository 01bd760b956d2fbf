"""Browsers that nobody drives: they open pages, which do the rest by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.clients.page import SWITCHES
from tests.helpers import require_program
from tests.waiting import PATIENCE

FIREFOX_PREFERENCES: Mapping[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "dom.disable_open_during_load": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "services.settings.server": "data:,",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "trailhead.firstrun.didSeeAboutWelcome": True,
}
"""It connects only to the server under test, shows nothing of its own, and lets a page open a tab."""


def chromium(profile: Path, cafile: str) -> Sequence[str]:
    program = require_program("chromium", "chromium-browser", "google-chrome")
    own = (
        "--disable-features=BackForwardCache",  # would keep a page after leaving it, with its connections
        "--disable-popup-blocking",
        "--ignore-certificate-errors",
        f"--user-data-dir={profile}",
    )
    return (program, *SWITCHES, *own)


def firefox(profile: Path, cafile: str) -> Sequence[str]:
    program = require_program("firefox-esr", "firefox")
    certutil, database = require_program("certutil"), f"sql:{profile}"
    for arguments in (
        ("-N", "--empty-password"),
        ("-A", "-n", "The tests' authority", "-t", "C,,", "-i", cafile),
    ):
        subprocess.run([certutil, "-d", database, *arguments], check=True, timeout=PATIENCE)
    lines = [f"user_pref({json.dumps(each)[1:-1]});\n" for each in FIREFOX_PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    return (program, "--headless", "--no-remote", "--profile", str(profile))


def webkit(profile: Path, cafile: str) -> Sequence[str]:
    """WebKitGTK's own small browser, with the engine of Safari."""
    require_program("Xvfb")
    for directory in ("/usr/lib", "/usr/libexec"):
        for program in sorted(Path(directory).glob("*/webkit*gtk-*/MiniBrowser"), reverse=True):
            switches = (
                "--private",
                "--ignore-tls-errors",
                "--javascript-can-open-windows-automatically=true",
            )
            return (str(program), *switches)
    pytest.skip("MiniBrowser of WebKitGTK is not installed")


BROWSERS: dict[str, Callable[[Path, str], Sequence[str]]] = {
    "Chromium": chromium,
    "Firefox": firefox,
    "WebKit": webkit,
}
"""How to start each, with a directory for its profile and the certificate of an authority to trust."""


@contextmanager
def process(
    *command: str, directory: Path, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in ``directory``, with its output in ``output.txt``; end everything that it started."""
    with (directory / "output.txt").open("ab") as output:
        started = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "HOME": str(directory), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(PATIENCE)


@contextmanager
def display(directory: Path) -> Iterator[str]:
    """Run an X server without a screen, and yield the name of its display."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as told, ExitStack() as stack:
        with os.fdopen(writing, "w"):
            command = ("Xvfb", "-displayfd", str(writing), "-nolisten", "tcp", "-screen", "0", "1024x768x24")
            stack.enter_context(process(*command, directory=directory, pass_fds=[writing]))
        number = told.readline().strip()  # ends if Xvfb does
        assert number, (directory / "output.txt").read_text()
        yield f":{number}"


@contextmanager
def browser(name: str, directory: Path, cafile: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a browser that trusts the authority of ``cafile``, with the page at ``url``."""
    profile = directory / "profile"
    profile.mkdir()
    command = BROWSERS[name](profile, cafile)
    env = {
        # There is no desktop session to ask.
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "GSETTINGS_BACKEND": "memory",
        "GTK_A11Y": "none",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "MOZ_CRASHREPORTER_DISABLE": "1",
        "NO_AT_BRIDGE": "1",
        "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
        "XDG_RUNTIME_DIR": str(directory),
    }
    with ExitStack() as stack:
        if name == "WebKit":
            env["DISPLAY"] = stack.enter_context(display(directory))
        yield stack.enter_context(process(*command, url, directory=directory, env=env))
