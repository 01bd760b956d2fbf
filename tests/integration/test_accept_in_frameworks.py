"""``accept`` from a view in each framework, after its own middleware, as its users would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import pytest

from geventkws import WebSocketService, accept
from geventkws.testing import ConnectionRefused, connect

TOKEN = {"Authorization": "Bearer s3cr3t"}


class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(f"{connection.path_params['room']}: {message}")


def bottle() -> Any:
    from bottle import Bottle, abort, request

    app = Bottle()

    @app.get("/rooms/<room:int>")
    def room(room):
        if request.get_header("Authorization") is None:
            abort(401, "Who are you?")
        return accept(request.environ, Echo(), {"room": room})

    return app


def falcon() -> Any:
    import falcon

    class Room:
        def on_get(self, request, response, room):
            if request.auth is None:
                raise falcon.HTTPUnauthorized(title="Who are you?")
            accept(request.env, Echo(), {"room": room})

    app = falcon.App()
    app.add_route("/rooms/{room:int}", Room())
    return app


def pyramid() -> Any:
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPUnauthorized

    def room(request):
        if request.authorization is None:
            raise HTTPUnauthorized("Who are you?")
        answer = accept(request.environ, Echo(), {"room": int(request.matchdict["room"])})
        return request.get_response(answer)

    with Configurator() as config:
        config.add_route("room", r"/rooms/{room:\d+}")
        config.add_view(room, route_name="room")
        return config.make_wsgi_app()


def werkzeug() -> Any:
    from werkzeug import Request
    from werkzeug.exceptions import HTTPException, Unauthorized
    from werkzeug.routing import Map, Rule

    routes = Map([Rule("/rooms/<int:room>", endpoint="room", websocket=True)])

    @Request.application
    def application(request):
        try:
            _endpoint, values = routes.bind_to_environ(request.environ).match()
            if request.authorization is None:
                raise Unauthorized("Who are you?")
        except HTTPException as error:
            return error
        return accept(request.environ, Echo(), values)

    return application


def validated() -> Any:
    """An application of PEP 3333 alone, checked by the standard library's validator."""

    def application(environ, start_response):
        if "HTTP_AUTHORIZATION" not in environ:
            start_response("401 Unauthorized", [("Content-Type", "text/plain"), ("Content-Length", "12")])
            return [b"Who are you?"]
        accept(environ, Echo(), {"room": int(environ["PATH_INFO"].rpartition("/")[2])})
        start_response("204 No Content", [])
        return []

    return validator(application)


@pytest.mark.parametrize("framework", [bottle, falcon, pyramid, werkzeug, validated])
class TestEachFramework:
    def test_opens_a_connection_with_the_values_of_its_route(self, framework: Callable[[], Any]) -> None:
        with connect(framework(), "/rooms/7", headers=TOKEN) as client:
            assert client.connection.path_params == {"room": 7}
            client.send("hello")
            assert client.receive() == "7: hello"
            client.close()
            assert client.reason == 1000

    def test_refuses_in_its_own_words(self, framework: Callable[[], Any]) -> None:
        with pytest.raises(ConnectionRefused) as refused:
            connect(framework(), "/rooms/7")
        assert refused.value.status == 401
        assert b"Who are you?" in refused.value.body

    def test_lets_no_foreign_origin_in(self, framework: Callable[[], Any]) -> None:
        with pytest.raises(ConnectionRefused) as refused:
            connect(framework(), "/rooms/7", headers=TOKEN, origin="http://evil.example")
        assert refused.value.status == 403
