"""The pipeline as a Django application."""

from django.apps import AppConfig


class MainConfig(AppConfig):
    """Study, Series, Image and what happens to them."""

    name = "main"
