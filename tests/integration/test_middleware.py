"""Well-known WSGI middleware around an application with WebSockets: it does its work, and so do they."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sentry_sdk
from flask import Flask
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from whitenoise import WhiteNoise

from geventkws import WebSocketConnection, accept
from geventkws.flask import Sockets
from tests.integration.conftest import Echo, Serve, Site
from tests.raw import CLOSE, TEXT, Frame, masked
from tests.waiting import PATIENCE

Application = Callable[..., Any]
FOREIGN = "Origin: http://evil.example"


def plain() -> Application:
    """An application of PEP 3333 alone."""
    service = Echo()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/echo":
            # Called, it tells the middleware the status; whoever returns it uncalled leaves that open.
            return accept(environ, service)(environ, start_response)
        if environ["PATH_INFO"] == "/fails":
            raise RuntimeError("on purpose")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"page"]

    return application


def flask() -> Application:
    """Flask, with ``Sockets``."""
    app = Flask("site")
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @Sockets(app).route("/echo")
    def echo(connection: WebSocketConnection) -> None:
        for message in connection:
            connection.send(message)

    @app.get("/")
    def page():
        return "page"

    @app.get("/fails", websocket=False)
    def fails():
        raise RuntimeError("on purpose")

    return app


@pytest.fixture(params=[plain, flask], ids=lambda kind: kind.__name__)
def application(request: pytest.FixtureRequest) -> Application:
    made: Application = request.param()
    return made


def works(site: Site, path: str = "/echo") -> None:
    """Check that a WebSocket opens, echoes and closes, and that a foreign page cannot open one."""
    client = site.connect(path)
    assert client.head.startswith("HTTP/1.1 101 ")
    client.send(masked(TEXT, "hello"))
    assert client.frame() == Frame(TEXT, b"hello")
    client.send(masked(CLOSE))
    assert client.close_code() == (None, "")
    client.close()
    assert site.connect(path, FOREIGN).head.startswith("HTTP/1.1 403 ")


def get(site: Site, path: str = "/") -> requests.Response:
    return requests.get(f"http://127.0.0.1:{site.port}{path}", timeout=PATIENCE)


def test_whitenoise(serve: Serve, application: Application, tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("body {}")
    site = serve(application=WhiteNoise(application, root=tmp_path, prefix="static"))
    works(site)
    assert get(site, "/static/style.css").text == "body {}"
    assert get(site).text == "page"


def test_werkzeugs_dispatcher(serve: Serve, application: Application) -> None:
    site = serve(application=DispatcherMiddleware(plain(), {"/inner": application}))
    works(site)
    works(site, "/inner/echo")
    assert get(site, "/inner/").text == "page"


@pytest.mark.logs_errors
def test_werkzeugs_debugger(serve: Serve, application: Application) -> None:
    site = serve(application=DebuggedApplication(application, evalex=True))
    works(site)
    failed = get(site, "/fails")
    assert failed.status_code == 500
    assert "on purpose" in failed.text
    assert get(site).text == "page"


def test_werkzeugs_profiler(serve: Serve, application: Application) -> None:
    site = serve(application=ProfilerMiddleware(application, stream=None))
    works(site)
    assert get(site).text == "page"


@pytest.fixture
def spans() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def test_opentelemetry(
    serve: Serve, application: Application, spans: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = spans
    site = serve(application=OpenTelemetryMiddleware(application, tracer_provider=provider))
    works(site)
    assert get(site).text == "page"
    finished = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    assert [(each["http.target"], each["http.status_code"]) for each in finished] == [
        ("/echo", 101),
        ("/echo", 403),
        ("/", 200),
    ]


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What Sentry would send."""
    sent: list[Any] = []

    class Transport(sentry_sdk.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.extend(item.payload.json for item in envelope.items)

    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1",
        transport=Transport,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    yield sent
    sentry_sdk.get_client().close()
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


@pytest.mark.logs_errors
def test_sentry(serve: Serve, application: Application, events: list[Any]) -> None:
    site = serve(application=SentryWsgiMiddleware(application))
    works(site)
    assert get(site).text == "page"
    assert get(site, "/fails").status_code == 500
    assert [event["exception"]["values"][-1]["value"] for event in events if "exception" in event] == [
        "on purpose"
    ]
    transactions = [event for event in events if event.get("type") == "transaction"]
    answered = [each["contexts"]["trace"]["data"] for each in transactions[:3]]
    assert [data["http.response.status_code"] for data in answered] == [101, 403, 200]
