"""`manage.py show_config`: every setting, its value and where it comes from; secrets are masked."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from main.management.commands._base import NodeCommand
from main.projects import projects, several
from sendit.reference import SETTINGS


class Command(NodeCommand):
    """Show the settings in force."""

    help = "Every setting, its value and where it comes from. Secrets are masked."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        environment = settings.ENVIRONMENT
        facts = {}
        for one in SETTINGS:
            value = environment.values[one.name]
            shown = "(set)" if one.secret and value else value
            facts[one.name] = {"value": shown, "from": environment.origin[one.name]}
        lines = [f"{name} = {fact['value']}    [{fact['from']}]" for name, fact in facts.items()]
        try:
            described = {name: one.described() for name, one in projects().items()} if several() else {}
        except ImproperlyConfigured as error:
            described, lines = {}, [*lines, str(error)]
        for name, said in described.items():
            lines.append(
                f"project {name}: " + ("; ".join(f"{key} {value}" for key, value in said.items()) or "all as set")
            )
        self.show(options, facts | ({"projects": described} if described else {}), lines)
