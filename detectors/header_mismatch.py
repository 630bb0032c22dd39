"""Signals whose identity header and principal disagree, by actor, in; findings out."""

from detectors._base import Counting, Level, Limit, Window, WindowSettings
from records.event import Signal
from records.kinds import TRUSTED, Key

VOUCHED, SUCCEEDED, UNVOUCHED = 1, 2, 4


class HeaderMismatch(Counting):
    """A caller says in a header that they are somebody else.

    Sees: requests whose identity header names another user than the principal, where both are ids
    of one space; one is worth a look, a second claimed id or a success is an attempt to be others.
    Misses: logs without a principal (identity_fanout counts their claims), headers that are not
    configured, a claim and a principal of different id spaces.
    False alarms: a proxy or test that always sends one fixed user, support staff who act for
    others and are no delegates, an application that caches the header over a change of user.
    Runbook: 1. Read this actor's requests from 15 min before to 15 min after: does the answer
    follow the header (its size, the owner that the service logged)? 2. See whether the same client
    sent the header in the 7 days before; if ever since a release, it is a fault. 3. If answers
    follow it, strip the header at the edge and name the claimed users of the last 30 days.
    """

    id = "header_mismatch"
    name = "Identity header differs from the authenticated user"
    key = Key.ACTOR

    class Settings(WindowSettings):
        """`limit`: distinct claimed ids of one vouched-for principal."""

        limit: Limit = 2
        window: Window = 86_400.0
        unverified_limit: Limit = 3

    settings: Settings

    def levels(self) -> tuple[Level, ...]:
        """A principal that nobody vouches for may be as false as the claim: never above medium."""
        limit, window_s = self.settings.limit, self.settings.window
        did, what = "claimed to be", "other user"
        return (
            Level("medium", 1, window_s, VOUCHED, did, what),
            Level("medium", self.settings.unverified_limit, window_s, UNVOUCHED, did, what, 0.7),
            Level("high", limit, window_s, VOUCHED, did, what),
            Level("high", 1, window_s, SUCCEEDED, did + ", with success,", what),
        )

    def sees(self, signal: Signal) -> bool:
        """Intake compared the ids."""
        return signal.mismatch and signal.claimed != ""

    def targets(self, signal: Signal) -> tuple[str, ...]:
        """Who the caller claimed to be."""
        return (signal.claimed,)

    def kinds(self, signal: Signal) -> int:
        """By whether the principal is vouched for, and the request succeeded."""
        if signal.provenance not in TRUSTED:
            return UNVOUCHED
        return VOUCHED | (SUCCEEDED if signal.outcome == "proven" else 0)
