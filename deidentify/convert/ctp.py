"""Reads a DicomAnonymizer script of the RSNA Clinical Trial Processor (XML) and makes a recipe of it.

What its functions do is known here, as far as a recipe can say it; pixel and filter scripts of CTP are not read.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from deidentify.convert.draft import Converted, Draft
from deidentify.dictionary import keyword_of, vr_of
from deidentify.errors import Refused
from deidentify.recipe.targets import FIXED, TEMPORAL_VRS

_LARGEST = 1 << 22
_FUNCTION = re.compile(r"@(\w+)")
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r"\(?([0-9A-Fa-f]{4}),?\s*\[([^\]]+)\]([0-9A-Fa-f]{2})\)?")
_ACTIONS = {"remove": "remove", "empty": "empty", "blank": "empty", "keep": "keep"}
_SHIFTS = frozenset({"incrementdate", "hashdate", "dateinterval"})
_PSEUDONYMS = frozenset(
    {"hash", "hashname", "hashptid", "hashuid", "integer", "lookup", "encrypt", "param", "initials", "pathelement"}
)
_ALREADY = frozenset({"curves", "overlays", "privategroups"})


def from_ctp(script: str, name: str = "from-ctp") -> Converted:
    """Return the recipe that a CTP script comes to.

    Parameters
    ----------
    script : str
        The XML, with ``p``, ``e``, ``k`` and ``r`` elements.
    name : str
        Of the recipe.

    Raises
    ------
    Refused
        ``bad-recipe``, when it is no such script.
    """
    return _Script(name).read(script)


class _Script:
    def __init__(self, name: str) -> None:
        self.draft = Draft(name, "a CTP anonymizer script")
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._depth = 0
        self._open: tuple[int, str, dict[str, str]] | None = None
        self._text: list[str] = []

    def read(self, script: str) -> Converted:
        if len(script) > _LARGEST:
            raise Refused("bad-recipe", f"The script is longer than {_LARGEST} characters.")
        try:
            self._parser.Parse(script.encode(), True)
        except expat.ExpatError as error:
            raise Refused("bad-recipe", f"Line {error.lineno} of the script is not XML.") from None
        return self.draft.converted()

    def _doctype(self, *_: object) -> None:
        raise Refused("bad-recipe", f"Line {self._parser.CurrentLineNumber} declares a DOCTYPE, which no script needs.")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and element != "script":
            raise Refused("bad-recipe", "The script is no CTP anonymizer script: it does not start with <script>.")
        if self._depth == 2:
            self._open, self._text = (self._parser.CurrentLineNumber, element, attributes), []

    def _data(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._depth == 1 and self._open:
            line, element, attributes = self._open
            self._rule(line, element, attributes, "".join(self._text).strip())

    def _rule(self, line: int, element: str, attributes: dict[str, str], text: str) -> None:
        target = attributes.get("t", "").strip()
        rule = f"{element} {target} {attributes.get('n', '')} {text}"
        if element == "p":
            self.draft.leave(
                line, rule, "A recipe has no parameters: shifts and UIDs are keyed, other values come with identifiers."
            )
        elif attributes.get("en", "T").upper() != "T":
            return
        elif element == "e":
            self._element(line, rule, target, text)
        elif element == "k" and target == "safeprivateelements":
            self.draft.option("retain-safe-private")
            self.draft.leave(line, rule, "Private elements stay that PS3.15 lists as safe; CTP's own list is another.")
        elif element == "r" and target in _ALREADY:
            return
        elif element == "r" and target == "unspecifiedelements":
            self.draft.leave(line, rule, "The Basic Profile decides about other elements; see the recipe 'minimal'.")
        else:
            self.draft.leave(line, rule, "A recipe names attributes, VRs and private creators, no groups.")

    def _element(self, line: int, rule: str, target: str, text: str) -> None:
        private, standard = _PRIVATE.fullmatch(target), _TAG.fullmatch(target)
        if private:
            key, vr = f"({private[1].upper()},xx{private[3].upper()}) {private[2].strip()}", ""
        elif standard:
            tag = int(standard[1] + standard[2], 16)
            key, vr = keyword_of(tag) or f"{standard[1]},{standard[2]}", vr_of(tag)
        else:
            self.draft.leave(line, rule, "This names no single attribute.")
            return
        if key in FIXED:
            if not text.startswith("@keep"):
                return  # the profile, the identifiers and the marks see to it
            self.draft.leave(line, rule, f"{key} is always replaced or marked.")
            return
        function = _FUNCTION.match(text)
        word = function[1].lower() if function else ""
        if word in _ACTIONS:
            self.draft.override(line, rule, key, _ACTIONS[word])
        elif word in _SHIFTS and vr in TEMPORAL_VRS:
            self.draft.override(line, rule, key, "shift")
        elif word in _PSEUDONYMS and vr == "UI":
            self.draft.override(line, rule, key, "replace-uid")
        elif word in _PSEUDONYMS or not function:
            self.draft.leave(
                line, rule, "The value comes with the identifiers of the provider, or the profile replaces it."
            )
        else:
            self.draft.leave(line, rule, f"A recipe has no function {word!r}.")
