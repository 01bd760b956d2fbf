"""The ``manage.py`` of a small project: users and sessions in SQLite, services behind a login."""

from __future__ import annotations

import os
import sys

from django.conf import settings

DATABASE = os.environ["TEST_DATABASE"]


def configure() -> None:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="test",
        DEBUG=False,
        ROOT_URLCONF="tests.django.urls",
        LOGIN_URL="/login",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "geventkws.django",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.gzip.GZipMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
    )


if __name__ == "__main__":
    configure()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
