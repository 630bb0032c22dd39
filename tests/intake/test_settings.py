import pytest
from pydantic import ValidationError

from intake.settings import GrantRow, IntakeSettings
from tests.intake._lines import settings


def test_defaults():
    plain = IntakeSettings()
    assert plain.trust.principal == "asserted"
    assert [(h.name, h.honoured) for h in plain.identity_headers] == [("X-User-ID", "unknown")]
    assert (plain.trusted_proxies, plain.routes, plain.ownership) == ([], [], [])


def test_networks_are_canonical():
    found = settings(
        trusted_proxies=["10.1.2.3/8", "192.0.2.1"],
        service_accounts=[{"id": "batch", "from": ["198.18.7.7/15"]}, "health"],
    )
    assert found.trusted_proxies == ["10.0.0.0/8", "192.0.2.1/32"]
    assert [(a.id, a.from_) for a in found.service_accounts] == [
        ("batch", ["198.18.0.0/15"]), ("health", []),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "intake", "says"),
    [
        ("unknown name", {"trusted_proxy": []}, "trusted_proxy"),
        ("no network", {"trusted_proxies": ["10.0.0.0/33"]}, "10.0.0.0/33"),
        ("rootless route", {"routes": [{"match": "api/{owner}"}]}, "must begin with /"),
        ("odd effect", {"routes": [{"match": "/a", "effect": "delete"}]}, "effect"),
        ("odd honour", {"identity_headers": [{"honoured": "maybe"}]}, "honoured"),
        (
            "forgeable log format",
            {"log_format": {"nginx": "$remote_addr $msec $request $http_x"}},
            r"quotes round each of them",
        ),
        ("log format without a time", {"log_format": {"apache": ["%h %r"]}}, "log %t too"),
        ("joined at once", {"join": {"gateway": ["a"], "service": ["b"], "window": 0}}, "window"),
        (
            "joined too late",
            {"join": {"gateway": ["a"], "service": ["b"], "window": "41s"}},
            "less than or equal to 40",
        ),
        ("accounts are a list", {"service_accounts": "batch"}, "service_accounts"),
    ],
)
def test_mistakes_are_said(name, intake, says):
    with pytest.raises(ValidationError, match=says):
        settings(**intake)


def test_a_grant_row_has_open_bounds():
    row = GrantRow.model_validate({"principal": "17", "owner": "18"})
    assert (row.routes, row.from_, row.until) == ("**", None, None)
