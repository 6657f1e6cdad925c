"""Putting a text together again from the tokens that stay, with the punctuation and spaces that belong to them.

What stays is decided in `deidentify.text.cleaner`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from deidentify.spelling import bare

_BEFORE = "([{<>~≤≥±+*\"'-"
_AFTER = "*%°+)]}>\"'!?´`′″"
_LINE = re.compile(r"\r\n|\r|\n")
_PUNCTUATION = re.compile(r"[,;:|/\\^_.&+-]")
_STRONG = re.compile(r"[,;:.](?=\s|$)")
_SPACED = re.compile(r"\s([/|&+-]+)(?:\s|$)")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_EMPTY_PAIR = re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}|\"\s*\"")


@dataclass(slots=True)
class Token:
    """A word or number of a text.

    Attributes
    ----------
    text : str
        As it is written, or what takes its place.
    start, end : int
        Where it stands.
    kept : bool
        Whether it stays.
    fixed : bool
        Whether that is settled by its form.
    measured : bool
        Whether a unit follows, or stands before it what such a number says: ``TR 4500``.
    word : str
        The form in which it is compared.
    """

    text: str
    start: int
    end: int
    kept: bool = True
    fixed: bool = False
    measured: bool = False
    word: str = field(init=False)

    def __post_init__(self) -> None:
        self.word = bare(self.text)

    @property
    def has_digits(self) -> bool:
        """Tell whether there is a digit in it."""
        return any(char.isdecimal() for char in self.text)


def assembled(tokens: list[Token], text: str) -> str:
    """Return the kept tokens of `text` in their order, without what only the dropped ones needed."""
    kept = [position for position, token in enumerate(tokens) if token.kept]
    if not kept:
        return ""
    if len(kept) == len(tokens) and not any(token.fixed for token in tokens):
        return _balanced(text).strip()
    parts: list[str] = []
    first, last = tokens[kept[0]], tokens[kept[-1]]
    head = text[: first.start]
    parts.append(head.lstrip() if kept[0] == 0 else _leading(text, first, tokens[kept[0] - 1].end))
    for position, following in zip(kept, [*kept[1:], len(tokens)], strict=True):
        token = tokens[position]
        parts.append(token.text)
        if following == len(tokens):
            break
        after, before = tokens[position + 1].start, tokens[following - 1].end
        if following == position + 1:
            parts.append(text[token.end : after])
            continue
        trailing = _trailing(text, token, after)
        leading = _leading(text, tokens[following], before)
        parts += (trailing, _between(text, tokens[position : following + 1], len(trailing), len(leading)), leading)
    tail = text[last.end :]
    parts.append(tail.rstrip() if kept[-1] == len(tokens) - 1 else _trailing(text, last, tokens[kept[-1] + 1].start))
    return _balanced("".join(parts)).strip()


def _trailing(text: str, token: Token, end: int) -> str:
    """Return the signs that stand directly behind a token and belong to it."""
    gap = text[token.end : end]
    return gap[: len(gap) - len(gap.lstrip(_AFTER))]


def _leading(text: str, token: Token, start: int) -> str:
    """Return the signs that stand directly before a token and belong to it."""
    gap = text[start : token.start]
    rest = gap.rstrip(_BEFORE)
    return gap[len(rest) :] if rest or start == 0 else ""


def _between(text: str, tokens: list[Token], skip: int, skip_end: int) -> str:
    """Return what stands between two kept tokens now that those between them are gone."""
    gaps = [text[left.end : right.start] for left, right in zip(tokens, tokens[1:], strict=False)]
    gaps[0] = gaps[0][skip:]
    gaps[-1] = gaps[-1][: len(gaps[-1]) - skip_end]
    line = next((found[0] for gap in gaps if (found := _LINE.search(gap))), None)
    if line:
        return line
    if not any(char.isspace() for gap in gaps for char in gap):
        return next((found[0] for gap in gaps if (found := _PUNCTUATION.search(gap))), " ")
    for gap in (gaps[0], gaps[-1]):
        if found := _STRONG.search(gap):
            return f"{found[0]} "
        if found := _SPACED.search(gap):
            return f" {found[1]} "
    return " "


def _balanced(text: str) -> str:
    """Return `text` without brackets that have lost their other half or all that was between them."""
    text = _EMPTY_PAIR.sub(" ", text)
    stack: list[int] = []
    lonely: set[int] = set()
    for position, char in enumerate(text):
        if char in "([{":
            stack.append(position)
        elif char in _PAIRS:
            if stack and text[stack[-1]] == _PAIRS[char]:
                stack.pop()
            else:
                lonely.add(position)
    lonely.update(stack)
    if not lonely:
        return text
    return re.sub("\0+", " ", "".join("\0" if at in lonely else char for at, char in enumerate(text)))
