"""`manage.py nodes add|list|test|remove`: who may send here, and whom we call."""

from __future__ import annotations

import getpass
from argparse import BooleanOptionalAction
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from main import access, node_test, nodes, refusals
from main.management.commands._base import LOOK, NodeCommand
from main.models import Node

VERBS = ("add", "list", "test", "remove")
_MARKS = {"ok": "ok  ", "look": "LOOK", "failed": "FAIL"}


class Command(NodeCommand):
    """Add, list, test or remove a node."""

    help = (
        "add: let a node send here; list: nodes, and who was refused today; test: try a node layer by layer, "
        "exit 1 when one fails; remove: it may not send any more."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb, the name, and what a node is recognised by and called at."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=VERBS)
        parser.add_argument("name", nargs="?", help="the name it has here; not for list")
        parser.add_argument("--all", action="store_true", help="test: every node that can be called")
        add = parser.add_argument_group("add")
        add.add_argument(
            "--calling", action="append", default=[], metavar="AE", help="its AE title, or any; repeatable"
        )
        add.add_argument(
            "--from",
            action="append",
            default=[],
            dest="addresses",
            metavar="ADDRESS",
            help="host name, IP address or network (10.0.0.0/8) it calls from, or any; repeatable",
        )
        add.add_argument("--tls-subject", default="", help="subject of its client certificate: it must come by TLS")
        add.add_argument("--store", action=BooleanOptionalAction, default=True, help="whether it may store")
        add.add_argument("--host", default="", help="where we call it")
        add.add_argument("--port", type=int, help="its DICOM port")
        add.add_argument("--called", default="", metavar="AE", help="its AE title when we call it")
        add.add_argument("--tls", action="store_true", help="we call it by TLS")
        add.add_argument("--ask-count", action="store_true", help="ask it by C-FIND how many images a study has")
        add.add_argument("--quiet", type=float, help="seconds without news that end a study (DICOM_STUDY_TIMEOUT)")
        add.add_argument("--replace", action="store_true", help="change the node if it is there")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Exit 1: a test failed; 2: wrong use, nothing was changed."""
        verb = options["verb"]
        if verb == "list":
            self._list(options)
        elif verb == "test":
            self._test(options)
        elif not options["name"]:
            raise CommandError(f"Say which: nodes {verb} NAME.", returncode=2)
        elif verb == "add":
            self._add(options)
        else:
            nodes.remove(_known(options["name"]), getpass.getuser())
            self.show(options, {"name": options["name"], "removed": True}, [f"{options['name']} is removed."])

    def _list(self, options: dict[str, Any]) -> None:
        rows = list(Node.objects.order_by("name"))
        refused = refusals.today()
        lines = [f"{row.name}: {nodes.described(row)}" for row in rows] or ["No node yet."]
        lines += ["", "refused today:"] if refused else []
        for one in refused:
            lines.append(
                f"  {one.calling_ae_title or '-'} from {one.address or 'several'}, {one.count} times: {one.why} {one.do}"
            )
        facts = {"nodes": [_facts(row) for row in rows], "refused": [asdict(one) for one in refused]}
        self.show(options, {**facts, "notes": access.notes()}, [*lines, *["", *access.notes()]])

    def _add(self, options: dict[str, Any]) -> None:
        node = Node.objects.filter(name=options["name"]).first()
        if node and not options["replace"]:
            raise CommandError(f"There is a node {node.name}: take another name, or --replace it.", returncode=2)
        node = node or Node(name=options["name"])
        try:
            node.calling_ae_titles = nodes.several(options["calling"], "AE titles with --calling")
            node.addresses = nodes.several(options["addresses"], "addresses with --from")
            node.may_store, node.tls_subject = options["store"], options["tls_subject"]
            node.host, node.port, node.ae_title = options["host"], options["port"], options["called"]
            node.tls, node.ask_count, node.quiet = options["tls"], options["ask_count"], options["quiet"]
            changed = nodes.save(node, getpass.getuser())
        except ValidationError as error:
            raise CommandError(" ".join(dict.fromkeys(error.messages)), returncode=2) from None
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        says = "is registered" if changed else "was so already"
        lines = [f"{node.name} {says}: {nodes.described(node)}.", *access.notes()]
        self.show(options, {**_facts(node), "changed": changed, "notes": access.notes()}, lines)

    def _test(self, options: dict[str, Any]) -> None:
        if bool(options["name"]) == options["all"]:
            raise CommandError("Say which: nodes test NAME, or nodes test --all.", returncode=2)
        chosen = Node.objects.exclude(host="").order_by("name") if options["all"] else [_known(options["name"])]
        found = {node.name: node_test.run(node) for node in chosen}
        lines = []
        for name, layers in found.items():
            lines.append(f"{name}:")
            for layer in layers:
                lines.append(f"  {_MARKS[layer.outcome]}  {layer.name}: {layer.says}")
                lines += [f"        {layer.do}"] if layer.do else []
                lines += [f"        {heading}: {', '.join(names)}" for heading, names in layer.more.items()]
        self.show(options, {name: [asdict(layer) for layer in layers] for name, layers in found.items()}, lines)
        failed = any(layer.outcome == "failed" for layers in found.values() for layer in layers)
        self.end(LOOK if failed else 0)


def _known(name: str) -> Node:
    node = Node.objects.filter(name=name).first()
    if node is None:
        raise CommandError(f"There is no node {name}: see nodes list.", returncode=2)
    return node


def _facts(node: Node) -> dict[str, Any]:
    return {"name": node.name, **{column: getattr(node, column) for column in nodes.COLUMNS}}
