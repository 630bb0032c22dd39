import asyncio

import pytest

from console.elastic import examine, template_results, troubled
from console.fault import Negative, Unreachable
from console.result import Result
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import Step, set_up
from evidence.settings import Elasticsearch
from evidence.store import EmbeddedStore
from streams.elastic import options_of
from streams.settings import Settings
from tests._events import action
from tests.evidence.elastic._server import Server, refusal

RETENTION_S = 30 * 86_400


@pytest.fixture
def server():
    with Server() as running:
        yield running


@pytest.fixture
def settings(server, tmp_path):
    return Settings(
        elasticsearch=Elasticsearch(hosts=[server.url], retention=RETENTION_S), data_dir=tmp_path
    )


def prepare(server):
    async def once():
        async with server.client() as client:
            await set_up(client, RETENTION_S)

    asyncio.run(once())


def looked(settings):
    return asyncio.run(examine(settings))


def test_none_is_configured():
    assert looked(Settings()) == []


def test_all_is_well(server, settings):
    prepare(server)
    assert looked(settings) == [
        Result("elasticsearch", "ok", "Elasticsearch 9.5.3"),
        Result("elasticsearch permission", "ok", "may write what it must"),
        Result("elasticsearch templates", "ok", "8 templates and indices"),
    ]


def test_what_nobody_set_up(server, settings):
    *_, last = looked(settings)
    assert (last.what, last.state, last.do) == (
        "elasticsearch templates", "wrong", "run `breachline es setup`",
    )  # fmt: skip
    assert last.says.startswith("not there: breachline@settings, breachline-ecs@mappings, ")
    assert server.changed == []


def test_a_key_that_may_not(server, settings):
    prepare(server)
    server.denied = {"index"}
    assert looked(settings)[1] == Result(
        "elasticsearch permission",
        "wrong",
        "this key lacks index on breachline-incidents",
        "give it the role breachline_writer: `breachline es roles` prints it",
    )


def test_a_server_without_security_is_said(server, settings):
    prepare(server)
    server.without.add("_security")
    assert looked(settings)[1].state == "note"


def test_a_key_that_may_write_and_not_see_the_templates(server, settings):
    prepare(server)
    server.refuses_to_read["/_component"] = refusal(403, "security_exception", "unauthorized")
    assert looked(settings)[2] == Result(
        "elasticsearch templates",
        "note",
        "this key may not see them",
        "ask with a key of the role breachline_setup",
    )


def test_another_version_is_to_be_read(server, settings):
    prepare(server)
    server.version = "7.17.0"
    assert looked(settings)[0].state == "note"


def test_nobody_there(settings):
    gone = settings.model_copy(
        update={"elasticsearch": Elasticsearch(hosts=["http://127.0.0.1:9"])}
    )
    (only,) = looked(gone)
    assert (only.what, only.state) == ("elasticsearch", "unreachable")
    assert "127.0.0.1:9" in only.says


def test_a_key_file_that_is_gone(settings, tmp_path):
    lost = Elasticsearch(hosts=["http://127.0.0.1:9"], api_key_file=tmp_path / "key")
    (only,) = looked(settings.model_copy(update={"elasticsearch": lost}))
    assert (only.what, only.state) == ("elasticsearch", "wrong")
    assert str(tmp_path / "key") in only.says


def test_what_is_not_indexed_yet_is_said_whether_or_not_it_answers(server, settings, tmp_path):
    prepare(server)
    with EmbeddedStore.open(tmp_path) as store:
        store.log.append_intent(action())
    down = Elasticsearch(hosts=["http://127.0.0.1:9"])
    for one in (settings, settings.model_copy(update={"elasticsearch": down})):
        *_, last = looked(one)
        assert (last.what, last.says) == ("elasticsearch backlog", "1 of 1 entry not indexed yet")


def test_each_kind_of_step():
    steps = [
        Step("index template", "one", "created"),
        Step("index template", "two", "updated", "version 1 was there"),
        Step("index", "three", "wrong", "its mappings conflict", "delete it"),
        Step("index", "four", "unchanged"),
    ]
    todo = "run `breachline es setup`"
    assert list(template_results(steps)) == [
        Result("elasticsearch three", "wrong", "its mappings conflict", "delete it"),
        Result("elasticsearch templates", "wrong", "not there: one", todo),
        Result("elasticsearch templates", "wrong", "not as they must be: two", todo),
    ]


def test_options(tmp_path):
    key, ca = tmp_path / "key", tmp_path / "ca.crt"
    key.write_text("YTpi\n")
    given = Elasticsearch(
        hosts=["https://es.example:9200"], api_key_file=key, ca_file=ca, timeout=7
    )
    assert options_of(given) == Options(
        hosts=("https://es.example:9200",), api_key="YTpi", ca_file=ca, timeout_s=7
    )


REFUSALS = [
    (503, Unreachable),
    (429, Unreachable),
    (401, Negative),
    (403, Negative),
]


@pytest.mark.parametrize(("status", "ends"), REFUSALS)
def test_how_a_command_ends(server, status, ends):
    server.refuses_to_read["/_component"] = refusal(status, "some_exception", "no")

    async def once():
        async with connect(Options(hosts=(server.url,))) as client:
            with troubled():
                await client.cluster.get_component_template(name="x")

    with pytest.raises(ends):
        asyncio.run(once())
