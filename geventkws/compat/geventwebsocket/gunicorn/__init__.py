"""The worker for gunicorn, in ``workers``."""
