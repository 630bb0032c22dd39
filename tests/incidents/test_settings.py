from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from incidents.settings import NeverBlock, PolicySettings

MS = 1000


def at(year, month, day, hour=0):
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * MS


UNTIL = [
    ("none", None, None),
    ("a date holds to its end", date(2027, 1, 1), at(2027, 1, 2)),
    ("a date as text", "2027-01-01", at(2027, 1, 2)),
    ("a moment", datetime(2027, 1, 1, 12, tzinfo=UTC), at(2027, 1, 1, 12)),
    ("a moment as text", "2027-01-01T00:00:00Z", at(2027, 1, 1)),
    ("a moment without a zone is UTC", "2027-01-01T12:00:00", at(2027, 1, 1, 12)),
]


@pytest.mark.parametrize(("until", "expected"), [c[1:] for c in UNTIL], ids=[c[0] for c in UNTIL])
def test_until(until, expected):
    assert NeverBlock(cidr="192.0.2.0/24", until=until).until_ms == expected


def test_defaults():
    settings = PolicySettings()
    assert settings.model_dump() == {
        "mode": "simulate",
        "rules": {},
        "points": {},
        "never_block": [],
        "max_innocents": 3,
        "budget": {"critical": 30, "high": 10, "medium": 2, "low": 1},
        "stale_after": 600,
        "min_history": 3600,
        "block": 3600,
        "carrier_block": 900,
        "carriers": [],
        "max_block": 86_400,
        "min_confidence": 0.9,
        "lookback": 86_400,
    }


def test_people_write_durations_networks_and_parts_of_a_budget():
    settings = PolicySettings.model_validate(
        {"block": "2h", "carriers": ["203.0.113.7/24"], "budget": {"high": 3}}
    )
    assert (settings.block, settings.carriers) == (7200, ["203.0.113.0/24"])
    assert settings.budget == {"critical": 30, "high": 3, "medium": 2, "low": 1}


WRONG = [
    ("confidence may not be lowered", {"min_confidence": 0.5}, "min_confidence"),
    ("unknown name", {"blocks": 1}, "blocks"),
    ("no network", {"never_block": [{"cidr": "office"}]}, "never_block.0.cidr"),
    ("no mode", {"mode": "on"}, "mode"),
    ("no date", {"never_block": [{"cidr": "192.0.2.1", "until": "2027-13-01"}]},
     "never_block.0.until"),
    ("no duration", {"block": "soon"}, "block"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "where"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_what_is_wrong_is_said_and_where(given, where):
    with pytest.raises(ValidationError) as caught:
        PolicySettings.model_validate(given)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])).startswith(where)
