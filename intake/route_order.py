"""The order of routes of which the first match wins, so that no word is taken for an id.

In: routes as they would be configured. Out: those that are needed, the more specific first.
"""

from collections.abc import Collection

from intake.patterns import compile_route


def in_order(matches: Collection[str]) -> list[str]:
    """Routes with ids, and those without that one of them would match; unique.

    `/users/search` must not become the owner "search"; other words need no route.
    """
    patterns = [compile_route(match) for match in set(matches) if "{" in match]
    kept = {
        match
        for match in matches
        if "{" in match or any(pattern.match(match, "") is not None for pattern in patterns)
    }
    return sorted(kept, key=_specific)


def _specific(match: str) -> tuple[int, list[tuple[int, str]]]:
    """A query is more than none, a word at a place more than a variable."""
    path, _, query = match.partition("?")
    return -bool(query), [(_width(part), part) for part in path.split("/")]


def _width(part: str) -> int:
    return 2 if "*" in part else 1 if "{" in part else 0
