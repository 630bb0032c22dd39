"""Deterministic ids: the same input, configuration and key give the same ids on any machine.

Never Python's `hash()`, which differs between processes.
"""

import hashlib
from datetime import UTC, datetime

DAY_MS = 86_400_000


def digest(*parts: str | int, length: int = 20) -> str:
    """Hex SHA-256 of the parts, each with its length, so that ("ab", "c") is not ("a", "bc")."""
    h = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        h.update(f"{len(data)}:".encode())
        h.update(data)
    return h.hexdigest()[:length]


def event_id(source: str, offset: int) -> str:
    """The event of the line whose first byte stands at `offset` (decompressed) of `source`."""
    return f"{source}-{offset:x}"


def event_place(event: str) -> tuple[str, int]:
    """(source id, offset) of an event id."""
    source, _, offset = event.rpartition("-")
    return source, int(offset, 16)


def finding_id(rule: str, version: str, actor: str, severity: str, day: int, ordinal: int) -> str:
    """One finding a rule, actor, severity and episode.

    The episode is named by the UTC day (days since 1970) on which it began and its number within
    that day, not by its first event: which event arrives first depends on interleaving.
    """
    return "fin-" + digest(rule, version, actor, severity, day, ordinal)


def incident_id(actor: str, day: int, ordinal: int) -> str:
    """The incident opened for an actor; it keeps this id whatever it later absorbs."""
    return "inc-" + digest(actor, day, ordinal)


def action_id(kind: str, target: str, incident: str, ordinal: int) -> str:
    """One action a kind, target and episode: the Idempotency-Key of its effect."""
    return "act-" + digest(kind, target, incident, ordinal)


def partition(key: str, count: int) -> int:
    """A stable partition for a key, 0 <= n < count."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % count


def iso(time_ms: int) -> str:
    """ISO 8601 UTC with milliseconds, as ECS `@timestamp` wants it."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
