"""What is wrong with a route as people write it, and what to write instead.

The text of a route in, a sentence out; "" for a sound one. Which paths it matches is
`intake.patterns`' matter: there, whatever stands in braces matches a part.
"""

import re

_NAMED = re.compile(r"\{([^{}]*)\}")
_KNOWN = frozenset({"owner", "object", "tenant", "slug", "token"})
"""The last two as `breachline routes` writes them."""


def route_problem(route: str) -> str:
    """What names nothing in a route."""
    other = next((name for name in _NAMED.findall(route) if name not in _KNOWN), None)
    if other is None:
        return ""
    return (
        f"{{{other}}} says nothing: write {{owner}}, {{object}} or {{tenant}} for an id, and * for "
        "any other part"
    )


def source_problem(route: str) -> str:
    """What is wrong with the route of an ownership source."""
    if text := route_problem(route):
        return text
    return "" if "{object}" in route else "name the object: write {object} where its id is"
