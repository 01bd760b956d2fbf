"""The name that gunicorn's worker has in ``geventwebsocket.gunicorn.workers``."""

from geventkws.gunicorn.worker import Worker

GeventWebSocketWorker = Worker

__all__ = ["GeventWebSocketWorker"]
