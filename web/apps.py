"""The status pages as a Django application."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages behind the lock."""

    name = "web"
