"""Text: what may stay of a descriptor, a comment or a technical value when everything that tells who it is goes.

The words are lists in this folder, `cleaner` decides word by word; which attributes are cleaned is `deidentify.plan`.
"""

from deidentify.text.cleaner import TextCleaner

__all__ = ["TextCleaner"]
