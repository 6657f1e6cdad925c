"""The cleaner of texts: keeps words that are known to be safe, measurements and technique, and drops everything else.

Default is to drop (PS3.15 E.3.2, Clean Descriptors Option): a token stays only when it is in the vocabulary or has the
shape of a technique, and then only when nothing that is known of the patient says otherwise. No attribute is known here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deidentify.dates import Shift
from deidentify.known import Known
from deidentify.spelling import WORDS, bare, compact, spread
from deidentify.text import patterns, shapes, vocabulary
from deidentify.text.assembly import Token, assembled

if TYPE_CHECKING:
    from deidentify.recipe.policies import TextPolicy

_TOKEN = re.compile(r"[^\W_]+(?:(?<=\d)\.(?=\d)[^\W_]+)*")
_ONLY_SPACE = re.compile(r"\s*[:;#=.°]*\s*")
_JOINED = re.compile(r"[-/._#:=]")
_CAPITALS_TITLE = re.compile(r"\.|\s*$")
_REMEMBERED, _LONGEST_REMEMBERED = 1 << 15, 1 << 12
_MOST_AFTER_TITLE = 4
_SHORTEST_KNOWN = 4
_FEWEST_SPELLED = 4
_LONGEST_GROUP = 4
_APOSTROPHES = ("'", "’", "ʼ", "`", "´")


class TextCleaner:
    """Cleans texts by one policy; what it made of a text it remembers, because the images of a series repeat theirs.

    Parameters
    ----------
    policy : TextPolicy
        Own words that are safe, and own words that never stay.
    """

    def __init__(self, policy: TextPolicy) -> None:
        self._safe = vocabulary.safe() | _own(policy.keep)
        self._technical = self._safe | vocabulary.technical()
        self._kept_always = _own(policy.keep)
        self._removed = _own(policy.remove)
        self._seen: dict[tuple[str, Known, Shift | None, bool], str] = {}

    def cleaned(self, text: str, known: Known, shift: Shift | None = None, *, technical: bool = False) -> str:
        """Return what may stay of a text, tidied.

        Parameters
        ----------
        text : str
            One value.
        known : Known
            Of the patient; none of it stays in any spelling.
        shift : Shift, optional
            Moves the dates in the text; without one they go.
        technical : bool
            Whether the text is the name of a device, a coil, a kernel, a sequence or a version: then mixtures of letters
            and digits may stay that would be dropped elsewhere.

        Returns
        -------
        str
            Empty when nothing safe is left.
        """
        key = (text, known, shift, technical)
        result = self._seen.get(key)
        if result is None:
            result = self._cleaned(text, known, shift, technical)
            if len(text) <= _LONGEST_REMEMBERED:
                if len(self._seen) >= _REMEMBERED:
                    self._seen.clear()
                self._seen[key] = result
        return result

    def _cleaned(self, text: str, known: Known, shift: Shift | None, technical: bool) -> str:
        if text in vocabulary.products() and _tells_nothing(text, known):
            return text
        tokens = _tokens(text, known, shift)
        _drop_known(tokens, known)
        words = self._technical if technical else self._safe
        is_meaning = len(tokens) > 1 and vocabulary.phrase(text) in vocabulary.phrases()
        for token in tokens:
            if token.kept and not token.fixed:
                token.kept = (
                    token.word not in self._removed
                    and (is_meaning or self._is_safe(token, words, technical))
                    and not _hides_known(token, known)
                )
        _drop_named(tokens, text)
        _drop_streets(tokens, text)
        _drop_labelled(tokens, text)
        _drop_numbers_joined_to_dropped(tokens, text)
        _drop_initials(tokens, text)
        if not technical:
            _drop_spelled(tokens)
        _drop_glue(tokens)
        return assembled(tokens, text)

    def _is_safe(self, token: Token, words: frozenset[str], technical: bool) -> bool:
        text, word = token.text, token.word
        if not shapes.is_written(text):
            return False
        if word in words or spread(text) in words:
            return len(word) > 1 or shapes.is_single(word) or technical or word in self._kept_always
        if text.isalpha():
            if len(text) == 1:
                return shapes.is_single(word) or technical
            if technical and shapes.is_orientation(text):
                return True
            parts = shapes.camel_parts(text)
            return len(parts) > 1 and all(bare(part) in words for part in parts)
        if not text.isascii():
            return False
        if text[0].isdecimal() and not any(char.isalpha() for char in text):
            return shapes.is_number(text, technical_value=technical, unit=token.measured)
        return shapes.is_mixture(text, technical_value=technical)


def _own(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(bare(part) for word in words for part in WORDS.findall(word))


def _tokens(text: str, known: Known, shift: Shift | None) -> list[Token]:
    """Return the words and numbers of a text; what has to go by its form alone is one dropped token each."""
    tokens: list[Token] = []
    position = 0
    # Where a date and something else start together it is the date.
    for start, end, replacement in sorted(
        patterns.found(text, known.births, shift), key=lambda one: (one[0], -len(one[2]))
    ):
        if start >= position:
            tokens += _plain_tokens(text, position, start)
            tokens.append(Token(replacement or text[start:end], start, end, kept=bool(replacement), fixed=True))
            position = end
        elif end > position:
            tokens[-1] = Token(text[tokens[-1].start : end], tokens[-1].start, end, kept=False, fixed=True)
            position = end
    tokens += _plain_tokens(text, position, len(text))
    for token, following in zip(tokens, tokens[1:], strict=False):
        between = text[token.end : following.start]
        token.measured |= following.word in shapes.UNITS and not between.strip(" ")
        following.measured = token.word in shapes.MEASURED and not between.strip(" _=:-")
    return tokens


def _plain_tokens(text: str, start: int, end: int) -> list[Token]:
    return [Token(found[0], found.start(), found.end()) for found in _TOKEN.finditer(text, start, end)]


def _tells_nothing(text: str, known: Known) -> bool:
    """Tell whether none of the words of a text is known of the patient."""
    tokens = _plain_tokens(text, 0, len(text))
    _drop_known(tokens, known)
    return all(token.kept for token in tokens)


def _drop_known(tokens: list[Token], known: Known) -> None:
    """Drop tokens that are a word of the patient, or together with their neighbours make up one of his values."""
    words, runs, longest = known.words, known.runs, known.longest
    forms = [{token.word, spread(token.text)} for token in tokens]
    for position, token in enumerate(tokens):
        if token.fixed:
            continue
        if not words.isdisjoint(forms[position]):
            token.kept = False
        run = ""
        for end in range(position, len(tokens)):
            run += compact(tokens[end].word)
            if len(run) > longest or tokens[end].fixed:
                break
            if run in runs:
                for part in tokens[position : end + 1]:
                    part.kept = False


def _hides_known(token: Token, known: Known) -> bool:
    """Tell whether a mixture of letters and digits has a known word in it."""
    if token.text.isalpha():
        parts = shapes.camel_parts(token.text)
        return len(parts) > 1 and any(bare(part) in known.words for part in parts)
    inside = compact(token.word)
    return any(len(word) >= _SHORTEST_KNOWN and word in inside for word in known.words) or any(
        word in known.words for word in WORDS.findall(token.word)
    )


def _drop_named(tokens: list[Token], text: str) -> None:
    """Drop the words beside a title, a degree or a label of a name, also where they are in the vocabulary."""
    for position, token in enumerate(tokens):
        after = text[token.end : token.end + 2]
        title = token.word in vocabulary.TITLES or (
            token.word in vocabulary.TITLES_UNLESS_CAPITALS and (token.text[1:].islower() or after.startswith("."))
        )
        label = token.word in vocabulary.NAME_LABELS
        start = position + 1
        between = vocabulary.TITLE_PARTS if title else vocabulary.LABEL_PARTS
        while (title or label) and start < len(tokens) and tokens[start].word in between:
            tokens[start].kept = False
            start += 1
        if title or (label and ":" in after):
            token.kept = False
            _drop_name(tokens, start, text, first=True)
        elif label:
            _drop_name(tokens, start, text, first=False)
        elif token.word in vocabulary.DEGREES and token.text[0].isupper():
            before = position - 1
            while before >= 0 and position - before <= _MOST_AFTER_TITLE and _may_be_name(tokens[before]):
                tokens[before].kept = token.kept = False
                before -= 1


def _drop_name(tokens: list[Token], start: int, text: str, *, first: bool) -> None:
    """Drop a name that starts at a token: its first word in any case, then what may still be one."""
    unusual = False
    for position in range(start, min(start + _MOST_AFTER_TITLE, len(tokens))):
        token = tokens[position]
        if "\n" in text[tokens[position - 1].end : token.start]:
            return
        is_first = first and position == start and token.text.isalpha()
        if not (is_first or _may_be_name(token)) or (unusual and token.kept and token.word in vocabulary.EXAMINED):
            return
        unusual |= not token.kept and len(token.text) > 1
        token.kept = False


def _may_be_name(token: Token) -> bool:
    if token.fixed or not token.text.isalpha():
        return False
    return not token.kept or len(token.text) == 1 or token.word in vocabulary.names() | vocabulary.PARTICLES


def _drop_spelled(tokens: list[Token]) -> None:
    """Drop words that are spelled letter by letter: ``B R O W N``, ``B-R-O-W-N``."""
    run: list[Token] = []
    for token in [*tokens, Token("", 0, 0)]:
        if _is_letter(token):
            run.append(token)
        elif token.kept and token.word not in vocabulary.GLUE:
            if len(run) >= _FEWEST_SPELLED:
                for letter in run:
                    letter.kept = False
            run = []


def _drop_streets(tokens: list[Token], text: str) -> None:
    """Drop a street with its name and number: ``12 Main Street``, ``Uferstr. 5``."""
    for position, token in enumerate(tokens):
        first = position
        if token.word in vocabulary.STREETS:
            first -= bool(position) and tokens[position - 1].text.isalpha()
        elif token.kept or not token.word.endswith(vocabulary.STREET_ENDS):
            continue
        for part in tokens[first : position + 1]:
            part.kept = False
        for number in (*tokens[max(first - 1, 0) : first], *tokens[position + 1 : position + 2]):
            gap = text[number.end : tokens[first].start] + text[token.end : number.start]
            if number.has_digits and not number.fixed and not number.measured and not gap.strip(" .,"):
                number.kept = False


def _drop_labelled(tokens: list[Token], text: str) -> None:
    """Drop the number or code that a label of identities leads to, however short it is."""
    for position, token in enumerate(tokens[:-1]):
        if token.word not in vocabulary.LABELS:
            continue
        if not _ONLY_SPACE.fullmatch(text, token.end, tokens[position + 1].start):
            continue
        end = position + 2
        while end < len(tokens) and _JOINED.fullmatch(text, tokens[end - 1].end, tokens[end].start):
            if tokens[end].kept and tokens[end].text.isalpha() and len(tokens[end].text) > 1:
                break
            end += 1
        while (
            end < len(tokens)
            and all(
                part.text.isdecimal() and 1 < len(part.text) <= _LONGEST_GROUP for part in tokens[end - 1 : end + 1]
            )
            and text[tokens[end - 1].end : tokens[end].start] == " "
            and not tokens[end].measured
        ):
            end += 1
        group = tokens[position + 1 : end]
        if any(part.has_digits and not part.fixed for part in group):
            for part in group:
                part.kept = False
        if not group[0].kept:
            token.kept = False


def _drop_numbers_joined_to_dropped(tokens: list[Token], text: str) -> None:
    """Drop the rest of a number in groups of which one part is dropped: ``2024/123``."""
    for pairs in (zip(tokens, tokens[1:], strict=False), zip(tokens[::-1], tokens[-2::-1], strict=False)):
        for token, neighbour in pairs:
            left, right = sorted((token, neighbour), key=lambda token: token.start)
            if (
                not token.kept
                and token.has_digits
                and neighbour.kept
                and neighbour.has_digits
                and not neighbour.fixed
                and (neighbour.text[0].isalpha() or neighbour.text.replace(".", "").isdecimal())
                and _JOINED.fullmatch(text, left.end, right.start)
            ):
                neighbour.kept = False


def _drop_initials(tokens: list[Token], text: str) -> None:
    """Drop single letters that belong to a dropped word: ``J. Zylphrik``, ``O'Zylphrik``, ``Zylphrik's``."""
    for position in range(len(tokens) - 2, -1, -1):
        token, following = tokens[position], tokens[position + 1]
        between = text[token.end : following.start].strip(" ")
        if (
            _is_letter(token)
            and not following.kept
            and following.text.isalpha()
            and between in ("", ".", *_APOSTROPHES)
        ):
            token.kept = False
        elif _is_letter(following) and not token.kept and token.text.isalpha() and between in _APOSTROPHES:
            following.kept = False


def _is_letter(token: Token) -> bool:
    return token.kept and len(token.text) == 1 and token.text.isalpha()


def _drop_glue(tokens: list[Token]) -> None:
    """Drop the small words and labels that led to something dropped, or that nothing stands before."""
    for previous, token in zip(tokens, tokens[1:], strict=False):
        if token.word in vocabulary.INSTITUTIONS and not previous.kept and previous.text.isalpha():
            token.kept = False
    following_dropped = False
    for token in reversed(tokens):
        if token.kept and not token.fixed and following_dropped and _is_glue(token):
            token.kept = False
        following_dropped = not token.kept
    dropped = False
    for token in tokens:
        if token.kept:
            if not (dropped and token.word in vocabulary.GLUE and not token.fixed and len(token.text) > 1):
                return
            token.kept = False
        dropped = True


def _is_glue(token: Token) -> bool:
    if len(token.text) == 1:
        return False
    return any(
        token.word in words
        for words in (vocabulary.GLUE, vocabulary.LABELS, vocabulary.NAME_LABELS, vocabulary.INSTITUTIONS)
    )
