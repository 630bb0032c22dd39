"""Successful reads of other users' data, by actor, in; findings out."""

from detectors._base import Counting, Level, Limit, Window, WindowSettings
from records.event import Signal
from records.kinds import Key

ANY, FINANCIAL, OUT_OF_BOUNDS = 1, 2, 4
NAMED_BY = frozenset({"owner_logged", "route", "ownership"})


class CrossUserRead(Counting):
    """Somebody reads other people's data and gets it.

    Sees: successful reads of data whose owner the log, the route or an ownership source names, and
    who is not the caller; repeats of one person count once. A service account outside of its
    networks or routes is an alarm at the first.
    Misses: objects of unknown owner, owners that only a header claims (header_mismatch), logs
    without a comparable principal, readers who stay under the limit by the day, late lines.
    False alarms: support staff and services that are not listed as delegates or service_accounts,
    shared or public pages that are not marked `public`, two ids of one person without `identities`.
    Runbook: 1. Read this actor's requests from 1 h before to 1 h after: how did the owners' ids get
    to them, and did they walk a range? 2. Over the last 7 days, see whether the same reads are
    daily routine (then grant or list them) or began with this. 3. If not routine, end the sessions,
    and take the affected users from the incident, which counts beyond the limit.
    """

    id = "cross_user_read"
    name = "Reads of other users' data"
    key = Key.ACTOR

    class Settings(WindowSettings):
        """`limit`: distinct owners that are worth high; the first is medium."""

        limit: Limit = 3
        window: Window = 86_400.0
        critical_limit: Limit = 10
        financial_limit: Limit = 3

    settings: Settings

    def levels(self) -> tuple[Level, ...]:
        """1 medium, 3 high, 10 or 3 financial critical."""
        own, window_s = self.settings, self.settings.window
        did, financial = "read data of", "read financial data of"
        return (
            Level("medium", 1, window_s, ANY, did),
            Level("high", own.limit, window_s, ANY, did),
            Level("high", 1, window_s, OUT_OF_BOUNDS, "left its networks or routes and " + did),
            Level("critical", own.critical_limit, window_s, ANY, did),
            Level("critical", own.financial_limit, window_s, FINANCIAL, financial),
        )

    def sees(self, signal: Signal) -> bool:
        """What an anonymous caller reads is unauthenticated_read's."""
        return (
            signal.verdict == "foreign"
            and signal.effect == "read"
            and signal.authentication != "anonymous"
            and (
                signal.certainty == "proven"
                or (signal.certainty == "presumed" and signal.basis in NAMED_BY)
            )
        )

    def kinds(self, signal: Signal) -> int:
        """By category, and by whether a service account left its bounds."""
        kinds = FINANCIAL | ANY if signal.category == "financial" else ANY
        return kinds | (OUT_OF_BOUNDS if signal.out_of_bounds else 0)
