"""The Django project: settings from the environment, keys, Celery, the transport and the supervisor.

What happens to an image is not decided here but in main/.
"""

from sendit.celery import app as celery_app

__all__ = ["celery_app"]
