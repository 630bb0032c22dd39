"""Which ids of two spaces seem to be one person's: learned to be proposed, never to be used.

In: principal and target of successes whose ids cannot be compared. Out: rows for the identities
file that a person may check. A verdict MUST NOT rest on it: whoever reads one victim's data often
enough would make them their own.
"""

from collections import Counter

_MOST_PRINCIPALS = 20_000
_MOST_TARGETS = 8
_TIMES = 3
_SHARE = 0.9


class Pairings:
    """Counts which one target a principal asks for, and nobody else does."""

    def __init__(self) -> None:
        self._asked: dict[str, Counter[str]] = {}
        self._crowded: set[str] = set()
        """Principals that asked for too many different targets to be of use."""

    def note(self, principal: str, target: str) -> None:
        """Count one success of a principal on a target that it cannot be held against."""
        if principal in self._crowded:
            return
        asked = self._asked.get(principal)
        if asked is None:
            if len(self._asked) + len(self._crowded) >= _MOST_PRINCIPALS:
                return
            asked = self._asked[principal] = Counter()
        asked[target] += 1
        if len(asked) > _MOST_TARGETS:
            self._crowded.add(principal)
            del self._asked[principal]

    def proposed(self) -> list[tuple[str, str]]:
        """(principal, target) of those that went together nearly always, and with nobody else."""
        usual: dict[str, list[str]] = {}
        for principal, asked in self._asked.items():
            target, times = asked.most_common(1)[0]
            if times >= _TIMES and times >= _SHARE * asked.total():
                usual.setdefault(target, []).append(principal)
        return sorted((found[0], target) for target, found in usual.items() if len(found) == 1)
