"""Ids of single requests that were too many to be judged (`patterns.MAX_TARGETS`): counted, said.

Places with an excess in; counts by route and gaps of the log out. Nothing of it is judged.
"""

from collections.abc import Sequence

from intake.places import Place
from records.event import AccessEvent

MOST_ROUTES = 1_000


class Excess:
    """Counts by route, and what was not told of yet."""

    def __init__(self) -> None:
        self.routes: dict[str, int] = {}
        """Route -> ids that were not judged."""
        self._fresh: dict[tuple[int, str], int] = {}

    def note(self, time_ms: int, place: Place) -> None:
        """Count one request."""
        self._fresh[time_ms, place.path] = place.excess
        route = place.route.template
        if route in self.routes or len(self.routes) < MOST_ROUTES:
            self.routes[route] = self.routes.get(route, 0) + place.excess

    def take_gaps(self, events: Sequence[AccessEvent]) -> list[tuple[int, str]]:
        """(offset just behind its line, in words) of the requests among these events."""
        if not self._fresh:
            return []
        fresh, self._fresh = self._fresh, {}
        return [
            (event.offset + 1, f"{count:,} ids of one request were too many, and not judged")
            for event in events
            if (count := fresh.get((event.time_ms, event.path)))
        ]
