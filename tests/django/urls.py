"""The project's views and services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import path
from gevent import monkey

from geventkws import HandshakeError, WebSocketService, broadcast
from geventkws.django import accept
from tests.django.manage import DATABASE


def open_files() -> int:
    """Return how many times this process has the database open."""
    links = (each for each in Path("/proc/self/fd").iterdir() if each.exists())
    return sum(each.resolve() == Path(DATABASE).resolve() for each in links)


class Users(WebSocketService):
    """Answers a name with the number of users who have it."""

    def connected(self, connection):
        connection.send(f"{User.objects.count()} users, open before: {open_files() - 1}")

    def received(self, message, connection):
        if message == "fail":
            raise ValueError("for the test")
        before = open_files()
        count = User.objects.filter(username=message).count()
        connection.send(f"{count} of {message}, open before: {before}, room {dict(connection.path_params)}")


class Asking(WebSocketService):
    """In the pull style, finds the session's user itself."""

    def connecting(self, request):
        if "missing" in request.query:
            raise Http404("no such room")
        if "forbidden" in request.query:
            raise PermissionDenied
        if "broken" in request.query:
            raise ValueError("for the test")
        if "session" not in request.environ.get("HTTP_COOKIE", ""):
            raise HandshakeError(402, "Pay first")

    def run(self, connection):
        for message in connection:
            connection.send(f"{User.objects.filter(username=message).count()} of {message}")


class Chat(WebSocketService):
    """Passes on what a user says, by the name that the database has."""

    def __init__(self):
        self.connections = {}

    def connected(self, connection):
        self.connections[connection.id] = connection
        broadcast(self.connections.values(), f"{len(self.connections)} here")

    def received(self, message, connection):
        user = User.objects.get(pk=connection.path_params["user"])
        broadcast(self.connections.values(), f"{user.username}: {message}")

    def disconnected(self, connection, reason):
        del self.connections[connection.id]


users, asking, chatting = Users(), Asking(), Chat()


def sign_in(request):
    user = authenticate(username=request.GET["name"], password=request.GET["password"])
    if user is None:
        return HttpResponse("No", status=401)
    login(request, user)
    return HttpResponse("Welcome")


@login_required
def room(request: Any, room: int) -> Any:
    request.session["room"] = room
    return accept(request, users)


def last_room(request):
    patched = monkey.is_module_patched("socket")
    return HttpResponse(f"{request.session.get('room')}, open: {open_files()}, patched: {patched}")


@login_required
def chat(request):
    return accept(request, chatting, {"user": request.user.pk})


def pull(request):
    return accept(request, asking, {"given": True})


urlpatterns = [
    path("login", sign_in),
    path("rooms/<int:room>", room),
    path("last-room", last_room),
    path("pull", pull),
    path("chat", chat),
]
