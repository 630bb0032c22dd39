"""What may be left out: nothing that could fit. What is found is tested against the real server."""

import pytest

from evidence.elastic._theirs import superset, time_field
from evidence.query.fields import EVENTS
from evidence.query.parse import parse
from intake.settings import Fields, Identities, IdentityHeader, IntakeSettings
from tests._events import NOON_MS

PLAIN = IntakeSettings()


def asked(query, settings=PLAIN):
    return superset(parse(query, EVENTS, NOON_MS), settings)


def exact(clause):
    return {
        f: it["value"] for one in clause["bool"]["should"] for f, it in one.get("term", {}).items()
    }


def patterns(clause):
    return {
        f: it["value"]
        for one in clause["bool"]["should"]
        for f, it in one.get("wildcard", {}).items()
    }


def existing(clause):
    return {one["exists"]["field"] for one in clause["bool"]["should"] if "exists" in one}


ANY = [
    "", "*", "NOT source.ip:192.0.2.1", "url.path:/users/*", "breachline.verdict:foreign",
    "breachline.session:abc", "source.ip:192.0.2.1 OR url.path:/x", "user.id:u*",
    "http.request.method:GET", "source.ip:[192.0.2.1 TO 192.0.2.9]",
]  # fmt: skip


@pytest.mark.parametrize("query", ANY)
def test_what_may_be_any_document(query):
    assert asked(query) is None


def test_an_address_is_looked_for_wherever_the_intake_finds_one():
    clause = asked("source.ip:192.0.2.1")
    assert exact(clause) == dict.fromkeys(
        ["source.ip", "client.ip", "related.ip", "network.forwarded_ip"], "192.0.2.1"
    )
    assert patterns(clause)["http.request.headers.x-forwarded-for"] == "*192.0.2.1*"
    assert patterns(clause)["source.address"] == "*192.0.2.1*"
    own = IntakeSettings(fields=Fields(client_ip="labels.real", forwarded_for="labels.via"))
    assert {"labels.real", "labels.via"} <= set(patterns(asked("source.ip:192.0.2.1", own)))
    assert exact(asked("source.address:gateway")) == {}


def test_of_a_network_a_list_of_addresses_may_hold_any():
    clause = asked("source.ip:192.0.2.0/24")
    assert exact(clause)["client.ip"] == "192.0.2.0/24"
    assert "http.request.headers.x-forwarded-for" in existing(clause)
    peers = [{"exists": {"field": field}} for field in ("source.ip", "client.ip")]
    assert {"bool": {"must_not": peers}} in clause["bool"]["should"]


def test_a_principal_may_be_spelt_otherwise_or_stand_in_a_token():
    clause = asked('user.id:"a*17"')
    assert patterns(clause)["user.id"] == r"*a\*17*"
    assert patterns(clause)["user.name"] == r"*a\*17*"
    assert "http.request.headers.authorization" in existing(clause)
    own = IntakeSettings(
        fields=Fields(principal="labels.user", jwt_payload="labels.jwt"),
        identity_headers=[IdentityHeader(name="X-Account")],
    )
    clause = asked("user.id:u-1", own)
    assert {"labels.user", "http.request.headers.x-account"} <= set(patterns(clause))
    assert "labels.jwt" in existing(clause)


def test_a_uuid_may_stand_without_its_dashes():
    uuid = "0a1b2c3d-0000-4000-8000-0123456789ab"
    spelt = [
        one["wildcard"]["user.id"]["value"]
        for one in asked(f"user.id:{uuid}")["bool"]["should"]
        if "user.id" in one.get("wildcard", {})
    ]
    assert spelt == [f"*{uuid}*", "*" + uuid.replace("-", "") + "*"]


def test_where_people_have_several_ids_nobody_is_left_out(tmp_path):
    own = IntakeSettings(identities=Identities(file=tmp_path / "people.csv"))
    assert asked("user.id:u-1", own) is None


def test_status_is_theirs_unless_the_configuration_names_another():
    assert asked("http.response.status_code:404") == {
        "term": {"http.response.status_code": {"value": 404}}
    }
    assert asked("http.response.status_code:>=400") == {
        "range": {"http.response.status_code": {"gte": 400}}
    }
    own = IntakeSettings(fields=Fields(status="labels.status"))
    assert asked("http.response.status_code:404", own) is None


def test_parts_that_may_be_any_narrow_nothing():
    both = asked("source.ip:192.0.2.1 AND url.path:/x")
    assert both == {"bool": {"filter": [asked("source.ip:192.0.2.1")]}}
    either = asked("source.ip:192.0.2.1 OR user.id:u-1")
    assert either["bool"]["should"] == [asked("source.ip:192.0.2.1"), asked("user.id:u-1")]
    assert asked("source.ip:<::") == {"match_none": {}}


def test_the_time_is_where_the_configuration_says():
    assert time_field(PLAIN) == "@timestamp"
    assert time_field(IntakeSettings(fields=Fields(time="event.created"))) == "event.created"
