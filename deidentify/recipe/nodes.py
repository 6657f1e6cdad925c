"""YAML as nodes that remember their line: every complaint about a recipe names file, line and what is accepted.

It knows YAML and nothing of recipes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NoReturn

import yaml

from deidentify.errors import Refused

Node = Any  # a yaml.Node; PyYAML has no types


class Nodes:
    """The nodes of one file.

    Parameters
    ----------
    file : str
        How the file is called in complaints.
    text : str
        Its content.

    Raises
    ------
    Refused
        ``bad-recipe``, here and from every method.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        try:
            self.root: Node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise Refused("bad-recipe", f"{file}, line {mark.line + 1 if mark else 1}: this is not YAML.") from None
        except (RecursionError, ValueError):
            raise Refused("bad-recipe", f"{file} is nested too deeply, or no text; this is no recipe.") from None

    def fail(self, node: Node, problem: str, accepted: Iterable[str] | None = None) -> NoReturn:
        """Refuse the recipe because of what stands at `node`."""
        line = node.start_mark.line + 1 if node is not None else 1
        choice = "" if accepted is None else f" Accepted: {', '.join(accepted) or 'none'}."
        raise Refused("bad-recipe", f"{self.file}, line {line}: {problem}.{choice}")

    def pairs(self, node: Node, what: str) -> dict[str, tuple[Node, Node]]:
        """Return the key and value nodes of a mapping, by key."""
        if isinstance(node, yaml.ScalarNode) and not node.value and node.style is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} has to be written as 'key: value' lines")
        found: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            key = self.text(key_node)
            if key in found:
                self.fail(key_node, f"{key!r} is there twice")
            found[key] = (key_node, value_node)
        return found

    def fields(self, node: Node, what: str, known: Collection[str], required: Collection[str] = ()) -> dict[str, Node]:
        """Return the values of a mapping that has none but known keys, by key."""
        found = self.pairs(node, what)
        for key, (key_node, _) in found.items():
            if key not in known:
                self.fail(key_node, f"{key!r} is not known here", known)
        for key in required:
            if key not in found:
                self.fail(node, f"{key!r} is missing")
        return {key: value for key, (_, value) in found.items()}

    def items(self, node: Node, what: str) -> list[Node]:
        """Return the nodes of a list."""
        if isinstance(node, yaml.ScalarNode) and not node.value and node.style is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} is a list")
        return list(node.value)

    def text(self, node: Node) -> str:
        """Return a scalar as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, "a single word is expected")
        return str(node.value)

    def words(self, node: Node) -> tuple[str, ...]:
        """Return a scalar, or a list of them."""
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.text(item) for item in node.value)
        return (self.text(node),)

    def choice(self, node: Node, what: str, accepted: Collection[str]) -> str:
        """Return one of the accepted words."""
        word = self.text(node)
        if word not in accepted:
            self.fail(node, f"{what} {word!r} is not known", accepted)
        return word

    def number(self, node: Node, what: str, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        word = self.text(node)
        if not (word.isascii() and word.isdigit() and least <= int(word[:9]) <= most):
            self.fail(node, f"{what} is a whole number from {least} to {most}")
        return int(word)

    def is_word(self, node: Node) -> bool:
        """Tell whether a node is a scalar."""
        return isinstance(node, yaml.ScalarNode)
