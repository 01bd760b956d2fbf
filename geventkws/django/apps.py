"""The application ``"geventkws.django"`` for ``INSTALLED_APPS``, needed only for its command."""

from __future__ import annotations

from django.apps import AppConfig


class GeventkwsConfig(AppConfig):
    """The configuration, with a label that does not look like Django's own."""

    name = "geventkws.django"
    label = "geventkws"
    verbose_name = "geventkws"
