"""`manage.py status`: what is where, on one screen."""

from __future__ import annotations

from typing import Any

from main.management.commands._base import LOOK, NodeCommand
from main.overview import summary
from main.pipeline.sweep import NOBODY_WORKS


class Command(NodeCommand):
    """Show the state of the node."""

    help = (
        "Counts and oldest age of every stage, destinations, quarantine, processes. Exit 1: something needs a person."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the summary."""
        facts = summary()
        lines = [f"{'stage':<12}{'waiting':>9}{'images':>9}{'oldest':>10}  errors"]
        for one in facts["pipeline"]:
            lines.append(
                f"{one['stage']:<12}{one['waiting']:>9}{one['images']:>9}{one['oldest_seconds']:>9.0f}s  {one['errors'] or ''}"
            )
        lines.append("images: " + (", ".join(f"{k} {v}" for k, v in facts["images"].items() if v) or "none"))
        for name, images in facts.get("projects", {}).items():
            lines.append(f"project {name}: " + (", ".join(f"{k} {v}" for k, v in images.items() if v) or "none"))
        for one in facts["destinations"]:
            lines.append(
                f"destination {one['name']}: {one['state']}, {one['waiting']} waiting, {one['blocked']} blocked. {one['error']}"
            )
        for group in facts["quarantine"]:
            lines.append(
                f"held: {group['code']}: {group['images']} images, {group['files']} files. {group['sentence']}"
            )
        for one in facts["processes"]:
            lines.append(
                f"{one['kind']} {one['name']}: {'SILENT for' if one['silent'] else 'seen'} {one['seconds']:.0f} s"
            )
        if facts["stalled"]:
            lines.append(NOBODY_WORKS)
        self.show(options, facts, lines)
        blocked = any(one["blocked"] for one in facts["destinations"])
        self.end(LOOK if facts["quarantine"] or blocked or facts["stalled"] else 0)
