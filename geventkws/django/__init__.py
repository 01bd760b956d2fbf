"""WebSockets from the views of a Django project: ``accept``, and the command ``serve``."""

from geventkws.django.views import accept

__all__ = ["accept"]
