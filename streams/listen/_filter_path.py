"""`filter_path` of Elasticsearch: only some of an answer, as `errors,items.*.status` asks for it.

An answer and patterns come in; what is left of it goes out. Lists are passed through, `*` stands
for any one name, `**` for any names, `-` leaves out.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

_Pattern = tuple[str, ...]
_MAX: Final = 32
_NOTHING: Final = object()


def filtered(answer: dict[str, Any], filter_path: str) -> dict[str, Any]:
    """What the patterns, separated by commas, leave of an answer."""
    given = [text.strip() for text in filter_path.split(",")[:_MAX]]
    wanted = [tuple(text.split(".")) for text in given if text and text[0] != "-"]
    unwanted = [tuple(text[1:].split(".")) for text in given if text[:1] == "-"]
    found = _kept(answer, wanted) if wanted else answer
    if found is not _NOTHING and unwanted:
        found = _without(found, unwanted)
    return found if isinstance(found, dict) else {}


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
    found: list[_Pattern] = []
    for pattern in patterns:
        if pattern[:1] == ("**",):
            found.append(pattern)
            found += _below(name, [pattern[1:]])
        elif pattern and fnmatchcase(name, pattern[0]):
            found.append(pattern[1:])
    return found
