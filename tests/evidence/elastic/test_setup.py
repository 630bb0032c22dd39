import asyncio
from typing import Any

import pytest
from elasticsearch import AuthorizationException, BadRequestError

from evidence.elastic.roles import SETUP, WRITER
from evidence.elastic.setup import Step, lacking_privileges, lacking_types, set_up
from evidence.elastic.templates import ACTIONS, EVIDENCE, FAMILY, FINDINGS, INCIDENTS, templates
from tests.evidence.elastic._server import Server, refusal

DAY_S = 86_400
NAMES = [
    ("component template", "breachline@settings"),
    ("component template", "breachline-ecs@mappings"),
    ("component template", "breachline@mappings"),
    ("index template", "logs-breachline.finding"),
    ("index template", "logs-breachline.evidence"),
    ("index template", "logs-breachline.action"),
    ("index template", "breachline-incidents"),
    ("index template", "breachline-heads"),
]
LIFECYCLES: dict[str, dict[str, Any]] = {
    FINDINGS: {"enabled": True, "data_retention": "30d"},
    EVIDENCE: {"enabled": True},
    ACTIONS: {"enabled": True, "data_retention": "30d"},
}


def calling(call, server, *args, **options):
    async def once():
        async with server.client() as client:
            return await call(client, *args, **options)

    return asyncio.run(once())


def put(server, days=30, **options):
    return calling(set_up, server, days * DAY_S, **options)


def changes(steps):
    return [step for step in steps if step.state != "unchanged"]


@pytest.fixture
def server():
    """A server that nobody has set up."""
    with Server() as running:
        yield running


@pytest.fixture
def used(server):
    """One that was set up, and written to."""
    put(server)
    for name in (FINDINGS, EVIDENCE, ACTIONS):
        server.mappings[name] = {f".ds-{name}-2026.11.22-000001": server.mapped_by_templates()}
    server.mappings[INCIDENTS] = {INCIDENTS: server.mapped_by_templates()}
    server.lifecycles = {name: dict(one) for name, one in LIFECYCLES.items()}
    server.changed.clear()
    return server


def test_all_is_put_once(server):
    assert put(server) == [Step(what, name, "created") for what, name in NAMES]
    assert server.templates == {one.path: one.body for one in templates(30 * DAY_S)}
    server.changed.clear()
    assert put(server) == [Step(what, name, "unchanged") for what, name in NAMES]
    assert server.changed == []


def test_a_dry_run_says_the_same_and_changes_nothing(server):
    assert put(server, dry_run=True) == put(server)
    server.changed.clear()
    put(server, days=31, dry_run=True)
    assert server.changed == []


def test_what_was_there_and_differs_is_put_again(server):
    put(server)
    path = "/_index_template/logs-breachline.evidence"
    older = "/_component_template/breachline@settings"
    server.templates[path]["template"]["lifecycle"]["data_retention"] = "7d"
    server.templates[older]["version"] = 0
    assert changes(put(server)) == [
        Step("component template", "breachline@settings", "updated", "version 0 was there"),
        Step("index template", "logs-breachline.evidence", "updated", "it was changed"),
    ]
    assert changes(put(server)) == []


def test_a_template_that_makes_no_stream_is_put_again(server):
    put(server)
    del server.templates["/_index_template/logs-breachline.action"]["data_stream"]
    assert [step.name for step in changes(put(server))] == ["logs-breachline.action"]


def test_a_server_without_special_types_gets_the_core_ones(server):
    server.unknown_types = ["match_only_text", "constant_keyword", "wildcard"]
    assert calling(lacking_types, server) == frozenset(FAMILY)
    put(server)
    made = templates(30 * DAY_S, frozenset(FAMILY))
    assert server.templates == {one.path: one.body for one in made}
    assert changes(put(server)) == []


def test_another_refusal_is_no_lack_of_types(server):
    server.without.add("_simulate")
    with pytest.raises(BadRequestError):
        calling(lacking_types, server)


def test_what_is_in_use_is_left_alone(used):
    assert changes(put(used)) == []
    assert used.changed == []


def test_a_stream_of_other_mappings_is_rolled_over(used):
    used.mappings[FINDINGS] = {f".ds-{FINDINGS}-2026.11.22-000001": {"properties": {}}}
    says = "rolled over: what comes next has these mappings"
    expected = [Step("data stream", FINDINGS, "updated", says)]
    assert changes(put(used, dry_run=True)) == expected
    assert used.changed == []
    assert changes(put(used)) == expected
    assert used.changed == [f"POST /{FINDINGS}/_rollover"]
    assert changes(put(used)) == []


def test_only_the_newest_generation_counts(used):
    old, new = f".ds-{FINDINGS}-2026.12.31-000009", f".ds-{FINDINGS}-2026.01.01-00000a"
    used.mappings[FINDINGS] = {new: used.mapped_by_templates(), old: {"properties": {}}}
    assert changes(put(used)) == []


def test_an_index_gets_new_fields(used):
    used.mappings[INCIDENTS] = {INCIDENTS: {"properties": {}}}
    expected = [Step("index", INCIDENTS, "updated", "new fields were mapped")]
    assert changes(put(used, dry_run=True)) == expected
    assert changes(put(used)) == expected
    assert changes(put(used)) == []


def test_an_index_whose_fields_conflict_is_for_a_person(used):
    used.mappings[INCIDENTS] = {INCIDENTS: {"properties": {"message": {"type": "long"}}}}
    reason = "mapper [message] cannot be changed from type [long] to [match_only_text]"
    used.refuses[f"/{INCIDENTS}/_mapping"] = refusal(400, "illegal_argument_exception", reason)
    (step,) = changes(put(used))
    assert (step.name, step.state) == (INCIDENTS, "wrong")
    assert step.says == f"its mappings conflict: {reason}"


def test_an_index_in_the_place_of_a_stream_is_for_a_person(used):
    used.mappings[EVIDENCE] = {EVIDENCE: {"properties": {}}}
    (step,) = changes(put(used))
    assert (step.what, step.name, step.state) == ("index", EVIDENCE, "wrong")
    assert step.says == "an index has this name: it was made before the templates"
    assert used.changed == []


def test_a_stream_in_the_place_of_an_index_is_for_a_person(used):
    used.mappings[INCIDENTS] = {f".ds-{INCIDENTS}-2026.11.22-000001": {"properties": {}}}
    (step,) = changes(put(used))
    assert step.says == "a data stream has this name: it was made before the templates"


RETENTIONS = [
    ("another one", FINDINGS, {"enabled": True, "data_retention": "7d"}, "7d was there, 30d is"),
    ("none", ACTIONS, {"enabled": True}, "none was there, 30d is"),
    ("switched off", ACTIONS, {"enabled": False, "data_retention": "30d"}, "30d was there, 30d"),
    (
        "evidence that ages",
        EVIDENCE,
        {"enabled": True, "data_retention": "7d"},
        "7d was there, none",
    ),
    ("not managed", EVIDENCE, {}, "none was there, none"),
]


@pytest.mark.parametrize(("name", "stream", "lifecycle", "says"), RETENTIONS)
def test_the_retention_of_what_is_there_is_set_too(used, name, stream, lifecycle, says):
    used.lifecycles[stream] = lifecycle
    assert changes(put(used, dry_run=True)) == changes(put(used)) != []
    assert used.lifecycles == LIFECYCLES
    used.lifecycles[stream] = lifecycle
    (step,) = changes(put(used))
    assert (step.what, step.name, step.says[: len(says)]) == ("retention", stream, says), name


def test_a_cluster_that_deletes_evidence_by_its_own_default_is_said(used):
    used.lifecycles[EVIDENCE] |= {
        "effective_retention": "90d",
        "retention_determined_by": "default_global_retention",
    }
    (step,) = changes(put(used))
    assert (step.state, step.says) == (
        "wrong", "the cluster's own default deletes evidence after 90d",
    )  # fmt: skip
    assert used.changed == []


def test_a_server_without_these_calls_has_templates_all_the_same(used):
    used.without.add("_lifecycle")
    assert changes(put(used)) == []


def test_who_may_not_is_told(server):
    server.refuses["/_component"] = refusal(403, "security_exception", "unauthorized")
    with pytest.raises(AuthorizationException):
        put(server)


def test_privileges(server):
    assert calling(lacking_privileges, server, WRITER) == []
    server.denied = {"monitor", "create_doc"}
    assert calling(lacking_privileges, server, WRITER) == [
        "monitor on the cluster",
        "create_doc on logs-breachline.*",
        "create_doc on breachline-heads",
    ]
    assert calling(lacking_privileges, server, SETUP) == ["monitor on the cluster"]
    server.without.add("_security")
    assert calling(lacking_privileges, server, WRITER) is None
