"""Where a person is named in what was understood: exact values first, then the prose about them.

Plain values (of JSON or MessagePack) and a person's id come in; whether it is named, or the same
values with another name, go out. An id that merely occurs within another value names nobody.
"""

import re
import typing
from collections.abc import Callable
from typing import Any

from records import kinds

_ACTORS = ("principal",)
_WORDS = frozenset(
    word
    for name, kind in vars(kinds).items()
    if name[0].isupper() and typing.get_origin(kind) is typing.Literal
    for word in typing.get_args(kind)
)
"""Of the domain: a value that is one of these names no person."""


class Name:
    """One person's id, as values and texts spell it."""

    def __init__(self, user: str) -> None:
        """For a canonical id.

        Raises:
            ValueError: it is empty, or a word that stands in every record.
        """
        if not user or user in _WORDS:
            raise ValueError(
                f"looking for {user!r}: it is no id that can be told from our own words"
            )
        self.user = user
        self._exact = {user, *(f"{kind}:{user}" for kind in _ACTORS)}
        # A lower-case word may be the name of a field: only values can be told apart from it.
        self._keys = re.fullmatch(r"[a-z_]+", user) is None
        self._word = re.compile(rf"(?<![\w@.-]){re.escape(user)}(?![\w@-])(?!\.\w)")

    def is_in(self, value: Any) -> bool:
        """Whether a value, or one within it, is exactly the person's id."""
        return _any(value, lambda text: text in self._exact, keys=self._keys)

    def is_mentioned(self, value: Any) -> bool:
        """Whether a text, or one within, has the id as a word of its own."""
        return _any(value, lambda text: self._word.search(text) is not None, keys=self._keys)

    def replaced(self, value: Any, instead: str) -> Any:
        """The same with every mention of the person replaced."""
        if isinstance(value, str):
            return self._word.sub(lambda _match: instead, value)
        if isinstance(value, list | tuple):
            # Keys of MessagePack may be arrays, which come out as tuples.
            return type(value)(self.replaced(item, instead) for item in value)
        if isinstance(value, dict):
            return {
                self.replaced(key, instead) if self._keys else key: self.replaced(item, instead)
                for key, item in value.items()
            }
        return value


def _any(value: Any, test: Callable[[str], bool], *, keys: bool) -> bool:
    if isinstance(value, str):
        return test(value)
    if isinstance(value, dict):
        return any(
            (keys and _any(key, test, keys=keys)) or _any(item, test, keys=keys)
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return any(_any(item, test, keys=keys) for item in value)
    return False
