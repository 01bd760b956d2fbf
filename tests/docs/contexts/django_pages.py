"""WebSockets in a Django project: the page's views, and the program that serves a project."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from geventkws import testing
from tests.docs.contexts.context import Context, get
from tests.docs.contexts.services import application


def somebody(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Recognize Ann by her cookie: middleware that replaces Django's, which needs a database."""

    def middleware(request: Any) -> Any:
        request.user = SimpleNamespace(is_authenticated=request.COOKIES.get("user") == "Ann")
        return get_response(request)

    return middleware


class DjangosViews(Context):
    """A project's views."""

    def names(self) -> dict[str, Any]:
        from django.conf import settings

        settings.configure(
            ALLOWED_HOSTS=["*"],
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
            LOGIN_URL="/login",
            MIDDLEWARE=[f"{__name__}.somebody"],
            ROOT_URLCONF="block",
            SECRET_KEY="test",
        )
        return {}

    def check(self, block: SimpleNamespace) -> None:
        from django.core.wsgi import get_wsgi_application

        urls = sys.modules["block"] = ModuleType("block")
        vars(urls)["urlpatterns"] = block.urlpatterns
        project = get_wsgi_application()
        with testing.connect(project, "/rooms/7", headers={"Cookie": "user=Ann"}) as client:
            assert client.receive() == "This is room 7"
            client.send("hello")
            assert client.receive() == "hello"
        with pytest.raises(testing.ConnectionRefused, match="status 302"):
            testing.connect(project, "/rooms/7")


class DjangosProgram(Context):
    """A program that serves a project."""

    def names(self) -> dict[str, Any]:
        for name in ("project", "project.wsgi"):
            sys.modules[name] = ModuleType(name)
        vars(sys.modules["project.wsgi"])["application"] = application
        return {}

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"
