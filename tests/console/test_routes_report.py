from pathlib import Path

import yaml

from console.routes_report import Report
from intake.openapi import proposed_routes
from intake.route_learning import RouteLearner
from intake.settings import IntakeSettings
from tests.intake._lines import Court, get

DOCUMENT: dict[str, object] = {
    "paths": {"/cards/{userId}": {"get": {}}, "/loans/{id}": {"get": {}}}
}


def report(lines, *, configured=(), document=None):
    proposed = proposed_routes(document) if document else []
    rules = [{"match": match} for match in configured]
    rules += [one.rule.model_dump() for one in proposed]
    court, learner = Court(routes=rules), RouteLearner()
    for line in lines:
        learner.add(court.event(line))
    file = Path("api.yaml") if document else None
    return Report(learner, frozenset(configured), proposed, file)


def text(found):
    return "\n".join(found.lines(["access.log"]))


def test_what_is_printed_is_configuration():
    lines = [get(f"/accounts/{n}/balance", f"{n}") for n in range(100, 130)]
    lines += [get("/accounts/search/balance"), get("/orders/8"), get("/health")]
    lines += [get('/a"]}\n- {match: "/x/9', method="GET")]
    printed = text(report(lines))
    settings = IntakeSettings.model_validate(yaml.safe_load(printed))
    assert [rule.match for rule in settings.routes][:2] == [
        "/accounts/search/balance",
        "/accounts/{owner}/balance",
    ]
    assert "/orders/{object}" in [rule.match for rule in settings.routes]
    assert "own for 100%; owner proposed: most people ask for their own" in printed
    assert '#   - {route: "/orders/{object}", file: owners.csv, object: id, owner: user}' in printed


def test_what_is_left_out_is_said():
    lines = [get("/orders/8"), get("/health"), get("/wp-admin/7", status=404)]
    printed = text(report(lines, configured=["/orders/{object}"]))
    assert printed.splitlines() == [
        "# 0 routes with ids, from 3 events of access.log.",
        "# Nothing to configure: no path names an id.",
        "# Left out: 1 routes that are configured already.",
        "# Left out: 1 routes without an id.",
        "# Left out: 1 routes on which nobody was answered.",
    ]


def test_a_file_says_what_is_documented():
    printed = text(report([get("/cards/7", "7"), get("/orders/8")], document=DOCUMENT))
    assert '{match: "/loans/{object}"}  # nobody asked for it' in printed
    assert "owner proposed: {userId} of /cards/{userId}" in printed
    assert '{match: "/orders/{object}", category: orders}' in printed
    assert "; not in api.yaml" in printed


def test_a_file_alone():
    printed = "\n".join(report([], document=DOCUMENT).lines([]))
    assert printed.startswith("# 2 routes with ids, from api.yaml.\n")
    assert '{match: "/loans/{object}"}\n' in printed


def test_documents():
    found = list(report([get("/cards/7", "7")], document=DOCUMENT).documents())
    assert [one["match"] for one in found] == ["/cards/{owner}", "/loans/{object}"]
    assert found[0] == {
        "match": "/cards/{owner}",
        "configured": False,
        "in_openapi": True,
        "requests": 1,
        "answered": 1,
        "methods": {"GET": 1},
        "people": 1,
        "category": "financial",
        "ids": [
            {"role": "owner", "kind": "integer", "distinct": 1, "more": False, "own_share": 0.0}
        ],
        "proposed_because": "{userId} of /cards/{userId}",
        "example": "/cards/7",
    }
