"""`filter_path` of Elasticsearch: only some of an answer, as `errors,items.*.status` asks for it.

An answer and patterns come in; what is left of it goes out. Lists are passed through, `*` stands
for any one name, `**` for any names, `-` leaves out.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

_Pattern = tuple[str, ...]
_MAX: Final = 32
_MAX_PARTS: Final = 8
"""No answer of ours is deeper: longer patterns fit nothing."""
_NEVER: Final[_Pattern] = ("",)
_NOTHING: Final = object()


def filtered(answer: dict[str, Any], filter_path: str) -> dict[str, Any]:
    """What the patterns, separated by commas, leave of an answer."""
    given = [text.strip() for text in filter_path.split(",", _MAX)[:_MAX]]
    wanted = [_pattern(text) for text in given if text and text[0] != "-"]
    unwanted = [_pattern(text[1:]) for text in given if text[:1] == "-"]
    found = _kept(answer, wanted) if wanted else answer
    if found is not _NOTHING and unwanted:
        found = _without(found, unwanted)
    return found if isinstance(found, dict) else {}


def _pattern(text: str) -> _Pattern:
    parts: list[str] = []
    for part in text.split("."):
        if part != "**" or parts[-1:] != ["**"]:
            parts.append(part)
    return tuple(parts) if len(parts) <= _MAX_PARTS else _NEVER


def _kept(value: Any, patterns: Sequence[_Pattern]) -> Any:
    if any(not pattern or pattern == ("**",) for pattern in patterns):
        return value
    if isinstance(value, list):
        items = [kept for each in value if (kept := _kept(each, patterns)) is not _NOTHING]
        return items or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    found = {}
    for name, inner in value.items():
        rest = _below(name, patterns)
        if rest and (kept := _kept(inner, rest)) is not _NOTHING:
            found[name] = kept
    return found or _NOTHING


def _without(value: Any, patterns: Sequence[_Pattern]) -> Any:
    if isinstance(value, list):
        return [_without(each, patterns) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        rest = _below(name, patterns)
        if not any(not pattern for pattern in rest):
            found[name] = _without(inner, rest) if rest else inner
    return found


def _below(name: str, patterns: Sequence[_Pattern]) -> list[_Pattern]:
    """What the patterns ask for within `name`."""
    # Each once: several `**` lead to the same rest by many ways.
    found: dict[_Pattern, None] = {}
    for pattern in patterns:
        if pattern[:1] == ("**",):
            found[pattern] = None
            found.update(dict.fromkeys(_below(name, [pattern[1:]])))
        elif pattern and fnmatchcase(name, pattern[0]):
            found[pattern[1:]] = None
    return list(found)
