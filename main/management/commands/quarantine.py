"""`manage.py quarantine list|requeue|discard`: what waits for a person."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main import bells
from main.management.commands._base import NodeCommand
from main.models import FileOutcome, Image
from main.overview import held_images, quarantine
from main.pipeline.replay import discard_files, discard_images, requeue_files, requeue_images


class Command(NodeCommand):
    """List, requeue or discard what is held."""

    help = "list: what is held and why; requeue: try again; discard: never send it, with a reason."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb and what it is about."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["list", "requeue", "discard"])
        parser.add_argument("--code", help="only this reason")
        parser.add_argument("--image", type=int, action="append", default=[], help="this image (may be repeated)")
        parser.add_argument("--file", type=int, action="append", default=[], help="this file (may be repeated)")
        parser.add_argument("--all", action="store_true", help="everything that is held")
        parser.add_argument("--why", default="", help="the reason for a discard; without patient data")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        images, files = self._chosen(options)
        if options["verb"] == "list":
            self._list(options, images, files)
            return
        if not (options["code"] or options["image"] or options["file"] or options["all"]):
            raise CommandError("Say which: --code, --image, --file or --all.", returncode=2)
        actor = getpass.getuser()
        if options["verb"] == "requeue":
            count = requeue_images(images, actor) + requeue_files(files, actor)
        elif not options["why"]:
            raise CommandError("A discard needs its reason: --why.", returncode=2)
        else:
            count = discard_images(images, actor, options["why"]) + discard_files(files, actor, options["why"])
        bells.flush(2.0)
        self.show(options, {"count": count}, [f"{options['verb']}: {count}"])

    def _chosen(self, options: dict[str, Any]) -> tuple[list[int], list[int]]:
        images = held_images()
        files = FileOutcome.objects.filter(held=True)
        if options["code"]:
            images, files = images.filter(code=options["code"]), files.filter(code=options["code"])
        if options["image"] or options["file"]:
            images, files = images.filter(pk__in=options["image"]), files.filter(pk__in=options["file"])
        return list(images.values_list("pk", flat=True)), list(files.values_list("pk", flat=True))

    def _list(self, options: dict[str, Any], images: list[int], files: list[int]) -> None:
        groups = quarantine()
        rows = [
            *Image.objects.filter(pk__in=images).values("pk", "series", "batch", "code", "sentence"),
            *FileOutcome.objects.filter(pk__in=files).values("pk", "batch", "code", "sentence"),
        ]
        lines = [
            f"{group['code']}: {group['images']} images, {group['files']} files. {group['sentence']}"
            for group in groups
        ]
        lines += [
            f"  {'image' if 'series' in row else 'file'} {row['pk']} (batch {row['batch']}): {row['code']}"
            for row in rows
        ]
        self.show(options, {"groups": groups, "held": rows}, lines or ["Nothing is held."])
