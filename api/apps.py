"""The REST face as a Django application."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Calls by token."""

    name = "api"
