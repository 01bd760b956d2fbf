"""The application ``"geventkws.django"`` for ``INSTALLED_APPS``: its command, and a quieter log."""

from __future__ import annotations

import logging

from django.apps import AppConfig

from geventkws.http.errors import RequestBodyError


class GeventkwsConfig(AppConfig):
    """The configuration, with a label that does not look like Django's own."""

    name = "geventkws.django"
    label = "geventkws"
    verbose_name = "geventkws"

    def ready(self) -> None:
        logging.getLogger("django.request").addFilter(_is_worth_a_line)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return whether a record is about anything but a body that did not arrive, which the client is told."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(getattr(error, "__cause__", None), RequestBodyError)
