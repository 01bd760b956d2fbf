"""The application ``"geventkws.django"`` of ``INSTALLED_APPS``, which is needed for its command alone."""

from __future__ import annotations

from django.apps import AppConfig


class GeventkwsConfig(AppConfig):
    """Under a label that does not look like Django's own."""

    name = "geventkws.django"
    label = "geventkws"
    verbose_name = "geventkws"
