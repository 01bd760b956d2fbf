"""Whoever changes a module finds its tests: in the file of its name, or where this list says."""

from __future__ import annotations

from pathlib import Path

import pytest

import geventkws
from tests.programs import ROOT

PACKAGE = Path(geventkws.__file__).parent
TESTS = ROOT / "tests"

ELSEWHERE = {
    # Programs, tested as such.
    "__main__.py": "cli/test_serve.py",
    "cli/colours.py": "cli/test_logs.py",
    "cli/commands.py": "cli/test_serve.py",
    "cli/errors.py": "cli/test_mistakes.py",
    "cli/serve_settings.py": "cli/test_config.py",
    "cli/server_options.py": "cli/test_help.py",
    "cli/serving.py": "cli/test_serve.py",
    "cli/types.py": "cli/test_config.py",
    "patched.py": "flask/test_command.py",
    "reloading.py": "cli/test_reload.py",
    # One face of several modules.
    **{f"centrifuge/{name}.py": "centrifuge/test_service.py" for name in ("commands", "grants")},
    **{
        f"centrifuge/{name}.py": "centrifuge/test_subscribing.py"
        for name in ("control", "lookups", "subscription")
    },
    **{
        f"centrifuge/protocol/{name}.py": "centrifuge/protocol/test_codecs.py"
        for name in ("codec", "fields", "json_codec", "parts", "protobuf_codec", "replies", "requests")
    },
    **{
        f"centrifuge/server_api/{name}.py": "centrifuge/server_api/test_application.py"
        for name in ("fields", "methods", "results")
    },
    "django/apps.py": "django/test_project.py",
    "django/management/commands/serve.py": "django/test_project.py",
    "django/views.py": "django/test_project.py",
    "flask/functions.py": "flask/test_sockets.py",
    "flask/services.py": "flask/test_sockets.py",
    "gunicorn/fork.py": "gunicorn/test_signals.py",
    "gunicorn/logs.py": "gunicorn/test_worker.py",
    "metrics/catalogue.py": "metrics/test_page.py",
    "metrics/collector.py": "metrics/test_page.py",
    "metrics/counts.py": "metrics/test_websockets.py",
    "metrics/metrics.py": "metrics/test_page.py",
    "metrics/services.py": "metrics/test_websockets.py",
    "pubsub/arguments.py": "pubsub/test_pubsub.py",
    "pubsub/broker.py": "pubsub/test_pubsub.py",
    "pubsub/listener.py": "pubsub/test_pubsub.py",
    "pubsub/node.py": "pubsub/test_pubsub.py",
    "pubsub/redis/broker.py": "pubsub/test_pubsub.py",
    "pubsub/redis/commands.py": "pubsub/test_faults.py",
    "pubsub/redis/control.py": "pubsub/test_nodes.py",
    "pubsub/redis/envelope.py": "pubsub/test_pubsub.py",
    "pubsub/redis/feed.py": "pubsub/test_faults.py",
    "pubsub/redis/lease.py": "pubsub/test_nodes.py",
    "pubsub/redis/link.py": "pubsub/test_sentinel.py",
    "pubsub/redis/members.py": "pubsub/test_nodes.py",
    "pubsub/redis/reader.py": "pubsub/test_faults.py",
    "pubsub/redis/scripts.py": "pubsub/test_faults.py",
    "pubsub/settings.py": "pubsub/test_pubsub.py",
    "pubsub/values.py": "pubsub/test_pubsub.py",
    **{
        f"compat/geventwebsocket/{name}.py": "compat/test_geventwebsocket.py"
        for name in ("exceptions", "gunicorn/workers", "resource", "server", "websocket")
    },
    "testing/client.py": "testing/test_connect.py",
    "testing/leaks.py": "testing/test_plugin.py",
    "testing/portless.py": "testing/test_connect.py",
    "testing/servers.py": "testing/test_plugin.py",
    # What only a whole server shows.
    "server/wsgi_websocket.py": "integration/test_wsgi_websocket.py",
    "websocket/delegate.py": "websocket/test_conversation.py",
    "websocket/held.py": "integration/test_wsgi_websocket.py",
    "http/error_stream.py": "integration/test_request_bodies.py",
    "http/overdue.py": "integration/test_request_timeout.py",
    "http/taken.py": "integration/test_takeover.py",
    "http/takeover.py": "integration/test_takeover.py",
    "net/tls.py": "integration/test_tls.py",
    "server/departure.py": "server/test_draining.py",
    "server/exhaustion.py": "server/test_server.py",
    "server/hub_log.py": "server/test_server.py",
    "server/spawning.py": "integration/test_http_connection.py",
    "option_checks.py": "test_options.py",
    # Names, with next to no code.
    "http/errors.py": "http/test_body.py",
    "http/log.py": "server/test_access_log.py",
    "loop/roles.py": "loop/test_channel.py",
    "protocol/opcodes.py": "protocol/test_frames.py",
}
"""The tests of modules without a test file of their own, by the reason."""


def own_tests(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}" if folder else f"test_{name}"


def modules() -> list[str]:
    paths = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in paths if not path.endswith("__init__.py"))


@pytest.mark.parametrize("module", modules())
def test_a_module_has_its_tests(module: str) -> None:
    assert (TESTS / ELSEWHERE.get(module, own_tests(module))).is_file()


def test_only_modules_without_a_file_of_their_own_are_tested_elsewhere() -> None:
    assert set(ELSEWHERE) <= set(modules())
    assert not [module for module in ELSEWHERE if (TESTS / own_tests(module)).is_file()]
