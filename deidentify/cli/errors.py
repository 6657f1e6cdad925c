"""The one exception of the command. Like those of the library it carries no value from a file."""

from __future__ import annotations


class Unusable(Exception):
    """What the command was told cannot be done; the message is one sentence for the person who gave it."""
