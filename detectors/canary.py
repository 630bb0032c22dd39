"""Requests for listed canary ids, by actor, in; findings out."""

from detectors._base import Counting, Level, Limit, Window, WindowSettings
from records.event import Signal
from records.kinds import TRUSTED, Key

STRONG, WEAK = 1, 2


class Canary(Counting):
    """Somebody asks for an id that nobody has a reason to know.

    Sees: any request, answered or denied, for an id on the list of canaries. By a caller with a
    session or a vouched-for principal it is deliberate; by a crawler, HEAD, or a browser that
    another site sent, it can be a link that somebody planted, and is low.
    Misses: attackers who only use ids that they were given; canaries that are not random or are
    linked somewhere are no canaries; late lines.
    False alarms: link checkers and mail scanners that carry a session, own tests, backups, exports
    over all ids, a canary that was once a real user.
    Runbook: 1. Read this actor's requests from 1 h before to 1 h after: the ids next to the canary
    show what was walked. 2. Search the last 7 days for other actors with the same canary: if many,
    it has leaked; replace it. 3. Treat the neighbouring requests that succeeded as a breach.
    """

    id = "canary"
    name = "Request for a canary id"
    key = Key.ACTOR

    class Settings(WindowSettings):
        """`limit`: distinct canaries that are worth critical; the first is high."""

        limit: Limit = 2
        window: Window = 86_400.0

    settings: Settings

    def levels(self) -> tuple[Level, ...]:
        """1 high, 2 critical; what may be a planted link, low."""
        window_s, did = self.settings.window, "asked for"
        return (
            Level("low", 1, window_s, WEAK, did, "canary id"),
            Level("high", 1, window_s, STRONG, did, "canary id"),
            Level("critical", self.settings.limit, window_s, STRONG, did, "canary id"),
        )

    def sees(self, signal: Signal) -> bool:
        """Intake compared the list."""
        return bool(signal.canaries)

    def targets(self, signal: Signal) -> tuple[str, ...]:
        """The canaries, which are nobody."""
        return signal.canaries

    def discounted(self, signal: Signal) -> bool:  # noqa: ARG002
        """One planted link is one whole low finding: cross-site is in the kind."""
        return False

    def kinds(self, signal: Signal) -> int:
        """Deliberate or not."""
        known = signal.session != "" or (signal.principal != "" and signal.provenance in TRUSTED)
        deliberate = known and not (signal.cross_site or signal.crawler or signal.method == "HEAD")
        return STRONG if deliberate else WEAK
