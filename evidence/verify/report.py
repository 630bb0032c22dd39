"""What a check found: problems, each with the entry that it is about, and what stays unproven.

Problems come in as they are met, one report goes out, for people and as JSON. An index is that of
a leaf, counted from 0.
"""

from typing import Any, Literal

import msgspec

What = Literal[
    "altered",
    "missing",
    "moved",
    "inserted",
    "forged head",
    "unknown key",
    "rolled back",
    "rewritten",
    "unreadable",
]
_LIMIT = 1000


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it was written."""

    what: What
    says: str
    index: int | None = None
    """The first leaf that it is about."""
    id: str = ""
    """Of that entry, where it is known."""


class Report:
    """All that one check found. Beyond 1,000 problems they are only counted."""

    def __init__(self, target: str, kind: Literal["store", "topic", "bundle"]) -> None:
        self.target = target
        self.kind = kind
        self.entries = 0
        self.heads = 0
        """Signed heads that the entries were held against, of their own."""
        self.published = 0
        """And of those that stand elsewhere."""
        self.signed_by: list[str] = []
        """The keys that signed, a vkey each."""
        self.unproven: list[str] = []
        """What this check could not show, in sentences."""
        self.count = 0
        self._problems: list[Problem] = []
        self.named: set[int] = set()
        """Leaves that a problem names."""

    def add(self, what: What, says: str, index: int | None = None, entry: str = "") -> None:
        """One more problem."""
        self.count += 1
        if len(self._problems) < _LIMIT:
            self._problems.append(Problem(what, says, index, entry))
            if index is not None:
                self.named.add(index)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    @property
    def problems(self) -> list[Problem]:
        """By entry, the first first; those of no entry after them."""
        return sorted(self._problems, key=_place)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "target": self.target,
            "kind": self.kind,
            "intact": self.intact,
            "entries": self.entries,
            "heads": self.heads,
            "published_heads": self.published,
            "signed_by": self.signed_by,
            "problems": [msgspec.to_builtins(problem) for problem in self.problems],
            "problem_count": self.count,
            "unproven": self.unproven,
        }


def _place(problem: Problem) -> tuple[bool, int]:
    return problem.index is None, problem.index or 0
