"""Successful reads of users' data without a credential, by session or address, in; findings out."""

from detectors._base import Counting, Level, Limit, Window, WindowSettings
from records.event import Signal
from records.kinds import Key

ANY = 1


class UnauthenticatedRead(Counting):
    """Somebody reads a user's data without having logged in.

    Sees: successful reads with a body of data that has an owner, by callers without a credential,
    where the log shows that this source records credentials.
    Misses: logs that record no credential at all, expired or forged ones that the service let
    pass, objects of unknown owner, late lines.
    False alarms: public profiles, avatars and share links that are not marked `public`; a route
    that takes a credential of which the log shows nothing. One reader alone is therefore not sure
    enough to be blocked; ten people's data are.
    Runbook: 1. Ask for the same path without a credential: does it answer with data? 2. If it is
    meant to, mark the route `public`; if not, protect it, and look when within the last 30 days it
    first answered so. 3. Take the affected users from the incident; see what else these addresses
    asked for in the 24 h around.
    """

    id = "unauthenticated_read"
    name = "Reads of users' data without authentication"
    reference = "https://owasp.org/API-Security/editions/2023/en/0xa2-broken-authentication/"
    key = Key.ACTOR

    class Settings(WindowSettings):
        """`limit`: distinct owners that are worth high."""

        limit: Limit = 1
        window: Window = 86_400.0
        critical_limit: Limit = 10

    settings: Settings

    def levels(self) -> tuple[Level, ...]:
        """1 high, below what enforcement needs; 10 critical."""
        own, did = self.settings, "read, without authentication, data of"
        return (
            Level("high", own.limit, own.window, ANY, did, "user", 0.85),
            Level("critical", own.critical_limit, own.window, ANY, did, "user"),
        )

    def sees(self, signal: Signal) -> bool:
        """A foreign read by nobody, answered."""
        return (
            signal.authentication == "anonymous"
            and signal.verdict == "foreign"
            and signal.effect == "read"
            and signal.outcome == "proven"
        )

    def kinds(self, signal: Signal) -> int:  # noqa: ARG002
        """All count alike."""
        return ANY
