"""Takes out of an incident's documents who its affected people are.

Their ids and documents come in; the documents go out with a number in the place of each id: the
same person has the same number everywhere in one export. It must not keep an id because it stands
inside of a longer text.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# What an id inside of a text stands between; an id that has one of these is replaced as it is.
_WORD = re.compile(r"[^\s/?&=,;:'\"()\[\]{}|<>]+")


class Masks:
    """The numbers of one export."""

    def __init__(self, users: Iterable[str], objects: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        for what, ids in (("user", users), ("object", objects)):
            for number, one in enumerate(sorted({*ids}.difference([""])), 1):
                self._names.setdefault(one, f"{what}-{number}")
        broken = [one for one in self._names if not _WORD.fullmatch(one)]
        # The longest first: one may be a part of another.
        self._broken = sorted(broken, key=lambda one: (-len(one), one))

    def text(self, text: str) -> str:
        """With numbers for ids."""
        if (name := self._names.get(text)) is not None:
            return name
        for one in self._broken:
            text = text.replace(one, self._names[one])
        return _WORD.sub(self._word, text)

    def document(self, value: Any) -> Any:
        """The same of everything in it, names of fields as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.document(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(one) for one in value]
        return value

    def _word(self, found: "re.Match[str]") -> str:
        word = found[0]
        bare = word.rstrip(".!")
        return self._names.get(word) or self._names.get(bare, bare) + word[len(bare) :]
