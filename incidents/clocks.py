"""The legal clocks of an incident: when it became known, and until when an authority must know.

A time in, texts out. It reads no clock: awareness is a field of the incident.
"""

from records.ids import iso

AUTHORITY_MS = 72 * 3_600_000
"""GDPR art. 33(1): not later than 72 hours after having become aware of it."""


def clocks(awareness_ms: int) -> dict[str, str]:
    """CONTRACT 4 `clocks`: ISO 8601 UTC of awareness and of the authority's deadline."""
    return {
        "awareness": iso(awareness_ms),
        "authority_deadline": iso(awareness_ms + AUTHORITY_MS),
    }
