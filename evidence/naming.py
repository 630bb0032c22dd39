"""Where a person is named in what was understood: exact values first, then the prose about them.

Plain values (of JSON or MessagePack) and a person's id come in; whether it is named, or the same
values with another name, go out. An id that merely occurs within another value names nobody.
"""

import re
from collections.abc import Callable
from typing import Any

_ACTORS = ("principal",)


class Name:
    """One person's id, as values and texts spell it."""

    def __init__(self, user: str) -> None:
        self.user = user
        self._exact = {user, *(f"{kind}:{user}" for kind in _ACTORS)}
        self._word = re.compile(rf"(?<![\w@.-]){re.escape(user)}(?![\w@-])(?!\.\w)")

    def is_in(self, value: Any) -> bool:
        """Whether a value, or one within it, is exactly the person's id."""
        return _any(value, lambda text: text in self._exact)

    def is_mentioned(self, value: Any) -> bool:
        """Whether a text, or one within, has the id as a word of its own."""
        return _any(value, lambda text: self._word.search(text) is not None)

    def replaced(self, value: Any, instead: str) -> Any:
        """The same with every mention of the person replaced."""
        if isinstance(value, str):
            return self._word.sub(lambda _match: instead, value)
        if isinstance(value, list | tuple):
            return [self.replaced(item, instead) for item in value]
        if isinstance(value, dict):
            return {
                self.replaced(key, instead): self.replaced(item, instead)
                for key, item in value.items()
            }
        return value


def _any(value: Any, test: Callable[[str], bool]) -> bool:
    if isinstance(value, str):
        return test(value)
    if isinstance(value, dict):
        return any(_any(key, test) or _any(item, test) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(_any(item, test) for item in value)
    return False
