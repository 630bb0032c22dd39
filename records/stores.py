"""What pure rooms need of a store, as Protocols; the stores themselves are in evidence/."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from records.event import Actor, Exposure


class ExposureStore(Protocol):
    """Exposures, kept for the look-back."""

    def exposures_of(
        self, actors: Iterable[Actor], since_ms: int, until_ms: int
    ) -> Iterator[Exposure]:
        """Exposures of these actors, since_ms <= time < until_ms, by (time, event)."""
        ...


class KeyedStore(Protocol):
    """Small values by (space, key): detectors' and intake's state between restarts."""

    def load_state(self, space: str) -> Iterator[tuple[str, bytes]]:
        """Every (key, value) of one space."""
        ...
