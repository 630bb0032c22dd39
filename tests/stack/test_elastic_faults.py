"""Whatever Elasticsearch does: detection goes on, nothing is lost or doubled, it says why."""

import asyncio
from random import Random

import pytest

from console.standing import backlog_results
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import set_up
from evidence.keys import CredentialDigest
from evidence.store import EmbeddedStore
from intake.ownership import Tables
from streams.clock import SystemClock
from streams.live import Live, Outbox
from streams.outward import opened
from streams.pipeline import Pipeline
from streams.projection import (
    backlog,
    begin_again,
    indexed_versions,
    of_entries,
    stand,
    undeliverable,
)
from streams.sealing import open_signed
from streams.settings import load
from tests import _attack
from tests.stack._elasticsearch import Elasticsearch
from tests.stack._proxy import Proxy, refusing, slow

STREAMS = [f"logs-breachline.{name}-default" for name in ("finding", "evidence", "action")]
MORE = 120_000
"""Honest lines, so that the rate of detection can be seen."""


@pytest.fixture
def node(elasticsearch_runs, tmp_path):
    with Elasticsearch(tmp_path / "elasticsearch") as running:
        yield running


class Service:
    """`run` on one log, with what it tells Elasticsearch, as often as it is wanted."""

    def __init__(self, folder, url):
        self.log = _attack.write(folder)
        with self.log.open("a") as log:
            for n in range(MORE):
                log.write(
                    _attack.entry(4300 + n // 100, f"u-{n % 50}", f"/api/v1/users/u-{n % 50}")
                )
        self._config = folder / "breachline.yaml"
        self._own = self._config.read_text()
        self.point_at(url)

    def point_at(self, url):
        """Which Elasticsearch is configured."""
        elastic = f"elasticsearch: {{hosts: ['{url}'], timeout: 5s}}\n"
        self._config.write_text(self._own + elastic)
        self.settings = load(self._config, {}, self.log.parent).settings

    def run(self, settings=None):
        """To the log's end; lines/s of detection."""
        settings = settings or self.settings
        with open_signed(settings) as store:
            return asyncio.run(self._run(settings, store))

    async def _run(self, settings, store):
        clock, read = SystemClock(), []
        pipeline = Pipeline(
            settings, Tables({}, {}, []), store, CredentialDigest(b"k" * 32),
            performer=Outbox(store), resumable=True,
        )  # fmt: skip
        pipeline.restore()

        def watch(_frame, step):
            read.append((clock.monotonic_s(), step.batch.lines))

        async with opened(settings, {}, clock) as outward:
            live = Live(
                pipeline, store, None, [], clock, Random(1), watch=watch,
                beside=outward.beside(store),
            )  # fmt: skip
            begun_s = clock.monotonic_s()
            await live.follow([str(self.log)], once=True)
        lines = sum(count for _, count in read)
        return lines / (read[-1][0] - begun_s) if read else 0.0

    def more(self):
        """One more foreign read, so that the next run has something to tell."""
        with self.log.open("a") as log:
            log.write(_attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/transactions"))

    def store(self):
        return EmbeddedStore.open_readonly(self.settings.data_dir)


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory):
    """What Python does once is done before a rate is printed."""
    folder = tmp_path_factory.mktemp("warm")
    service = Service(folder / "service", "http://127.0.0.1:9")
    service.run(service.settings.model_copy(update={"elasticsearch": None}))


@pytest.fixture
def stack(node, tmp_path):
    """A server with our templates, a proxy before it, and a service that tells it."""
    with Proxy(node.url) as proxy:
        service = Service(tmp_path / "service", proxy.url)

        async def prepare():
            async with connect(Options(hosts=(node.url,))) as client:
                await set_up(client, 86_400)

        asyncio.run(prepare())
        yield node, proxy, service


def found(node):
    """(index, id) of every document, and the version of every incident."""
    documents = []
    for name in STREAMS:
        node.ask("POST", f"{name}/_refresh")
        status, answer = node.ask("POST", f"{name}/_search", {"size": 10_000, "_source": False})
        hits = answer["hits"]["hits"] if status == 200 else []
        documents += [(name, hit["_id"]) for hit in hits]
    node.ask("POST", "breachline-incidents/_refresh")
    query = {"size": 10_000, "version": True, "_source": False}
    status, answer = node.ask("POST", "breachline-incidents/_search", query)
    hits = answer["hits"]["hits"] if status == 200 else []
    return sorted(documents), {hit["_id"]: hit["_version"] for hit in hits}


def wanted(service):
    """The same of the store."""
    with service.store() as store:
        entries = list(store.log.entries())
        parts = of_entries(store, entries)
        documents = {(one.index, one.id) for part in parts for one in part.documents}
        assert len({entry.kind for entry in entries} & {"finding", "incident", "intent"}) == 3
        return sorted(documents), store.incident_versions()


def detected(service):
    with service.store() as store:
        return (
            [one.id for one in store.findings()],
            [(one.id, one.affected_count) for one in store.incidents()],
        )


def block(node, *, on):
    for name in STREAMS:
        setting = {"index.blocks.read_only_allow_delete": True if on else None}
        status, _ = node.ask("PUT", f"{name}/_settings", setting)
        assert status == 200, name


def test_what_stands_there_is_what_the_log_holds_and_can_be_thrown_away(stack):
    node, _, service = stack
    service.run()
    assert found(node) == wanted(service)
    with service.store() as store:
        assert (backlog(store), undeliverable(store)) == (0, [])
        assert indexed_versions(store) == store.incident_versions()
    before = found(node)
    with open_signed(service.settings) as store:
        begin_again(store)
    service.run()
    assert found(node) == before


VERSION = refusing(
    400, "media_type_header_exception",
    "Invalid media-type value on headers [Accept]: A compatible version is required",
)  # fmt: skip
ANSWERS = [
    ("slow", slow(7.0), "timeout"),
    ("busy", refusing(429, "es_rejected_execution_exception", "queue", **{"Retry-After": "1"}),
     "busy"),
    ("an expired key", refusing(401, "security_exception", "expired"), "login"),
    ("another version", VERSION, "version"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "kind"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_an_answer_that_is_none_holds_up_nothing_and_loses_nothing(stack, name, fault, kind):
    node, proxy, service = stack
    proxy.fault = fault
    rate = service.run()
    outcome(service, name, kind, rate)
    proxy.fault = None
    recovered(node, service)


def test_a_server_that_was_killed_is_caught_up_with(stack):
    node, _, service = stack
    service.point_at(node.url)
    node.kill()
    rate = service.run()
    outcome(service, "killed", "unreachable", rate)
    node.start()
    recovered(node, service)


def test_a_server_that_is_full_is_caught_up_with(stack):
    node, _, service = stack
    for name in STREAMS:
        document = {"@timestamp": "2026-11-22T10:00:00Z"}
        assert node.ask("PUT", f"{name}/_create/{name}-first", document)[0] == 201
    block(node, on=True)
    rate = service.run()
    outcome(service, "full", "read_only", rate)
    block(node, on=False)
    service.more()
    service.run()
    documents, versions = found(node)
    first = {(name, f"{name}-first") for name in STREAMS}
    assert (sorted(set(documents) - first), versions) == wanted(service)


def test_documents_that_do_not_fit_are_set_aside_and_tried_again_on_demand(stack):
    node, _, service = stack
    template = {
        "index_patterns": ["logs-breachline.finding-*"], "data_stream": {}, "priority": 9999,
        "template": {"mappings": {"properties": {"breachline": {"properties": {
            "confidence": {"type": "ip"}}}}}},
    }  # fmt: skip
    assert node.ask("PUT", "_index_template/wrong", template)[0] == 200
    rate = service.run()
    print(f"mapping conflict: {rate:,.0f} lines/s detected")
    documents, versions = found(node)
    with service.store() as store:
        assert backlog(store) == 0
        aside = sorted((one.index, one.id) for one in undeliverable(store))
        assert all(one.reason for one in undeliverable(store))
    assert aside
    assert {index for index, _ in aside} == {STREAMS[0]}
    assert (sorted([*documents, *aside]), versions) == wanted(service)
    assert node.ask("DELETE", "_index_template/wrong")[0] == 200
    with open_signed(service.settings) as store:
        begin_again(store)
    # The stream was never made well: a person rolls it over, as `es setup` does.
    node.ask("POST", f"{STREAMS[0]}/_rollover")
    service.run()
    assert found(node) == wanted(service)


def outcome(service, name, kind, rate):
    """Detection did as it does without any; the reason is known, and nothing was given up."""
    print(f"{name}: {rate:,.0f} lines/s detected")
    plain = service.settings.model_copy(
        update={"elasticsearch": None, "data_dir": service.settings.data_dir / "plain"}
    )
    print(f"without Elasticsearch: {service.run(plain):,.0f} lines/s detected")
    with EmbeddedStore.open_readonly(plain.data_dir) as store:
        reference = (
            [one.id for one in store.findings()],
            [(one.id, one.affected_count) for one in store.incidents()],
        )
    assert detected(service) == reference
    with service.store() as store:
        at = stand(store)
        assert (at.kind, bool(at.trouble)) == (kind, True)
        assert backlog(store) == store.log.last_seq - at.seq > 0
        assert undeliverable(store) == []
    (said,) = backlog_results(service.settings)  # as `breachline doctor` shows it
    assert (said.state, at.trouble in said.says) == ("wrong", True)


def recovered(node, service):
    """Once it answers, all that waited stands there, and nothing twice."""
    service.more()
    service.run()
    assert found(node) == wanted(service)
    with service.store() as store:
        assert (backlog(store), undeliverable(store), stand(store).trouble) == (0, [], "")
