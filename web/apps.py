"""The status pages as a Django application."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages behind the lock."""

    name = "web"

    def ready(self) -> None:
        """Register the checks of the lock."""
        from web import checks  # noqa: F401 - registers itself
