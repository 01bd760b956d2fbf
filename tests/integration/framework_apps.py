"""The same small site in each framework: a greeting, a form, a cookie, a file, a stream and an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE_SIZE = 300_000
EVENTS = [b"data: 1\n\n", b"data: 2\n\n"]

Application = Callable[..., Any]


def flask(path: str, gate: Callable[[], object]) -> Application:
    from flask import Flask, request, send_file

    app = Flask("site")

    @app.get("/hello/<name>")
    def hello(name):
        return f"Hello {name}, {request.args['greeting']}, {request.remote_addr}"

    @app.post("/form")
    def form():
        response = app.make_response(
            {"name": request.form["name"], "size": len(request.files["file"].read())}
        )
        response.set_cookie("seen", "yes")
        return response

    @app.get("/file")
    def file():
        return send_file(path, conditional=True)

    @app.get("/events")
    def events():
        return app.response_class(_events(gate), mimetype="text/event-stream")

    @app.get("/fails")
    def fails():
        raise RuntimeError("secret")

    return app


def bottle(path: str, gate: Callable[[], object]) -> Application:
    import os

    from bottle import Bottle, request, response, static_file

    app = Bottle()

    @app.get("/hello/<name>")
    def hello(name):
        return f"Hello {name}, {request.query.greeting}, {request.remote_addr}"

    @app.post("/form")
    def form():
        response.set_cookie("seen", "yes")
        # Bottle leaves these temporary files to the garbage collector.
        with request.body, request.files.file.file as file:
            return {"name": request.forms.name, "size": len(file.read())}

    @app.get("/file")
    def file():
        return static_file(os.path.basename(path), os.path.dirname(path))

    @app.get("/events")
    def events():
        response.content_type = "text/event-stream"
        return _events(gate)

    @app.get("/fails")
    def fails():
        raise RuntimeError("secret")

    application: Application = app
    return application


def falcon(path: str, gate: Callable[[], object]) -> Application:
    import falcon

    class Hello:
        def on_get(self, request, response, name):
            response.text = f"Hello {name}, {request.params['greeting']}, {request.remote_addr}"

    class Form:
        def on_post(self, request, response):
            parts = {part.name: part.stream.read() for part in request.get_media()}
            response.media = {"name": parts["name"].decode(), "size": len(parts["file"])}
            response.set_cookie("seen", "yes", secure=False)

    class File:
        def on_get(self, request, response):
            file = Path(path).open("rb")  # noqa: SIM115 (Falcon closes it)
            response.set_stream(file, FILE_SIZE)

    class Events:
        def on_get(self, request, response):
            response.content_type = "text/event-stream"
            response.stream = _events(gate)

    class Fails:
        def on_get(self, request, response):
            raise RuntimeError("secret")

    app = falcon.App()
    app.add_route("/hello/{name}", Hello())
    app.add_route("/form", Form())
    app.add_route("/file", File())
    app.add_route("/events", Events())
    app.add_route("/fails", Fails())
    return app


def django(path: str, gate: Callable[[], object]) -> Application:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path as route

    def hello(request, name):
        return HttpResponse(f"Hello {name}, {request.GET['greeting']}, {request.META['REMOTE_ADDR']}")

    def form(request):
        size = len(request.FILES["file"].read())
        response = JsonResponse({"name": request.POST["name"], "size": size})
        response.set_cookie("seen", "yes")
        return response

    def file(request):
        return FileResponse(Path(path).open("rb"))

    def events(request):
        return StreamingHttpResponse(_events(gate), content_type="text/event-stream")

    def fails(request):
        raise RuntimeError("secret")

    class Routes:
        urlpatterns = (
            route("hello/<name>", hello),
            route("form", form),
            route("file", file),
            route("events", events),
            route("fails", fails),
        )

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"], SECRET_KEY="test", LOGGING_CONFIG=None, INSTALLED_APPS=["geventkws.django"]
        )
    settings.ROOT_URLCONF = Routes
    application: Application = get_wsgi_application()
    return application


def pyramid(path: str, gate: Callable[[], object]) -> Application:
    from pyramid.config import Configurator
    from pyramid.response import FileResponse, Response

    def hello(request):
        name, greeting = request.matchdict["name"], request.GET["greeting"]
        return Response(f"Hello {name}, {greeting}, {request.remote_addr}")

    def form(request):
        request.make_body_seekable()
        # WebOb leaves these temporary files to the garbage collector.
        with request.body_file_raw, request.POST["file"].file as file:
            data = {"name": request.POST["name"], "size": len(file.read())}
        response = Response(json_body=data)
        response.set_cookie("seen", "yes")
        return response

    def file(request):
        return FileResponse(path, request)

    def events(request):
        return Response(app_iter=_events(gate), content_type="text/event-stream")

    def fails(request):
        raise RuntimeError("secret")

    with Configurator() as config:
        for view, route in (hello, "/hello/{name}"), (form, "/form"), (file, "/file"), (events, "/events"):
            config.add_route(view.__name__, route)
            config.add_view(view, route_name=view.__name__)
        config.add_route("fails", "/fails")
        config.add_view(fails, route_name="fails")
        application: Application = config.make_wsgi_app()
    return application


def plain(path: str, gate: Callable[[], object]) -> Application:
    """Only the stream; the application is a generator function."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from _events(gate)

    return application


def _events(gate: Callable[[], object]) -> Iterator[bytes]:
    yield EVENTS[0]
    gate()
    yield EVENTS[1]


FRAMEWORKS: dict[str, Callable[[str, Callable[[], object]], Application]] = {
    "flask": flask,
    "django": django,
    "bottle": bottle,
    "falcon": falcon,
    "pyramid": pyramid,
}
