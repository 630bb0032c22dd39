"""What people configure under `respond:` (CONTRACT 2), but for the enforcement points themselves.

Validated once; values never change. Durations are seconds, written 10m or 600.
"""

from datetime import UTC, date, datetime, time, timedelta

from pydantic import Field, field_validator

from intake.settings import Network, Settings
from records.durations import Seconds
from records.kinds import ENFORCEMENT_CONFIDENCE, Mode, Severity


class NeverBlock(Settings):
    """A network that nothing may block, why, and until when; an expired entry is void."""

    cidr: Network
    reason: str = ""
    until: date | datetime | None = None

    @field_validator("until", mode="before")
    @classmethod
    def _plain_date(cls, value: object) -> object:
        # left to itself, pydantic takes a moment at midnight for a bare date
        if not isinstance(value, str):
            return value
        if len(value) == len("2027-01-01"):
            return date.fromisoformat(value)
        return datetime.fromisoformat(value)

    @property
    def until_ms(self) -> int | None:
        """First moment at which the entry is void; a bare date holds to its end, UTC."""
        if self.until is None:
            return None
        if isinstance(self.until, datetime):
            end = self.until if self.until.tzinfo else self.until.replace(tzinfo=UTC)
        else:
            end = datetime.combine(self.until + timedelta(days=1), time(), UTC)
        return int(end.timestamp() * 1000)


def _budget() -> dict[Severity, int]:
    return {"critical": 30, "high": 10, "medium": 2, "low": 1}


class PolicySettings(Settings):
    """Who may be blocked, how long, and when a person is asked."""

    mode: Mode = "simulate"
    rules: dict[str, Mode] = Field(default_factory=dict, description="mode per rule.id")
    points: dict[str, Mode] = Field(default_factory=dict, description="mode per enforcement point")
    never_block: list[NeverBlock] = Field(default_factory=list)
    max_innocents: int = Field(default=3, ge=0)
    budget: dict[Severity, int] = Field(
        default_factory=_budget, description="blocks a minute per severity"
    )
    stale_after: Seconds = 600
    min_history: Seconds = 3600
    block: Seconds = Field(default=3600, gt=0)
    carrier_block: Seconds = Field(default=900, gt=0)
    carriers: list[Network] = Field(
        default_factory=list, description="carrier and mobile networks: many people an address"
    )
    max_block: Seconds = Field(default=86_400, gt=0)
    min_confidence: float = Field(
        default=ENFORCEMENT_CONFIDENCE,
        ge=ENFORCEMENT_CONFIDENCE,
        le=1,
        description="below it a person is asked; may be raised, never lowered",
    )
    lookback: Seconds = Field(default=86_400, gt=0, description="one step of the look-back")

    @field_validator("budget", mode="after")
    @classmethod
    def _whole_budget(cls, value: dict[Severity, int]) -> dict[Severity, int]:
        return {**_budget(), **value}
