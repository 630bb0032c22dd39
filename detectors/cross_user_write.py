"""Successful changes of other users' data, by actor, in; findings out."""

from detectors._base import Counting, Level, Limit, Window, WindowSettings
from records.event import Signal
from records.kinds import Key

ANY, GRAVE = 1, 2
GRAVE_CATEGORIES = frozenset({"financial", "credential"})
SURE = frozenset({"proven", "presumed"})


class CrossUserWrite(Counting):
    """Somebody changes other people's data.

    Sees: successful writes to data whose owner is not the caller, also by anonymous callers; one
    that touches money or credentials is critical at once.
    Misses: changes of objects of unknown owner, writes whose success the log does not tell (202,
    a redirect, 5xx), what a service does on its own behalf, late lines.
    False alarms: staff and services that are no delegates or service_accounts, objects with
    several owners whose other roles are not configured, invitations and shared folders.
    Runbook: 1. Read this actor's requests from 1 h before to 1 h after: what was changed, and is it
    undone? 2. For passwords, e-mail addresses, payees: look at the owners' logins and payments of
    the 24 h since, and freeze them if they differ. 3. Over the last 7 days, find the first such
    write; restore from before it.
    """

    id = "cross_user_write"
    name = "Changes of other users' data"
    key = Key.ACTOR

    class Settings(WindowSettings):
        """`limit`: distinct owners that are worth critical; the first is high."""

        limit: Limit = 2
        window: Window = 86_400.0

    settings: Settings

    def levels(self) -> tuple[Level, ...]:
        """1 high; 2, or a financial or credential change, critical."""
        window_s, did = self.settings.window, "changed data of"
        return (
            Level("high", 1, window_s, ANY, did),
            Level("critical", self.settings.limit, window_s, ANY, did),
            Level("critical", 1, window_s, GRAVE, "changed money or credentials of"),
        )

    def sees(self, signal: Signal) -> bool:
        """A write that succeeded, by whomever."""
        return signal.verdict == "foreign" and signal.effect == "write" and signal.certainty in SURE

    def kinds(self, signal: Signal) -> int:
        """By category."""
        return ANY | GRAVE if signal.category in GRAVE_CATEGORIES else ANY
