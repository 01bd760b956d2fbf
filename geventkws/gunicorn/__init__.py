"""A worker for gunicorn: ``gunicorn -k geventkws.gunicorn.Worker app:app``."""

from geventkws.gunicorn.worker import Worker

__all__ = ["Worker"]
