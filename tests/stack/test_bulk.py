"""Bulk requests against a real Elasticsearch: what it says is understood, what it took is kept."""

import asyncio
import json
from pathlib import Path

import pytest

from evidence.elastic.bulk import Bulk, Document
from evidence.elastic.client import Options, connect, reach
from tests.stack._elasticsearch import VERSION, Elasticsearch

MANY = 12_000
KILLED_AFTER = 2_000


def docs(index, count, **more):
    return [Document(index, f"d{n}", json.dumps({"n": n, **more}).encode()) for n in range(count)]


def run(node, story, **options):
    """What the story makes of a sender."""

    async def told():
        async with connect(Options(hosts=(node.url,))) as client:
            return await story(Bulk(client, **options))

    return asyncio.run(told())


def send(node, *batches, **options):
    async def story(bulk):
        return [await bulk.send(batch) for batch in batches]

    return run(node, story, **options)


def found(node, index):
    """Every document of an index, by number: a page is no answer to how many there are."""
    assert node.ask("POST", f"{index}/_refresh")[0] == 200
    numbers: list[int] = []
    query = {"size": 5_000, "sort": [{"n": "asc"}], "_source": ["n"]}
    while True:
        hits = node.ask("POST", f"{index}/_search", query)[1]["hits"]["hits"]
        if not hits:
            return numbers
        numbers += [hit["_source"]["n"] for hit in hits]
        query["search_after"] = hits[-1]["sort"]


def told(sent):
    kind = sent.trouble and sent.trouble.kind
    return sent.stored, sent.already, [one.document.id for one in sent.refused], kind, sent.done


def test_who_is_there(elasticsearch):
    async def story():
        async with connect(Options(hosts=(elasticsearch.url,))) as client:
            return await reach(client)

    assert asyncio.run(story()).version == VERSION


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "as it is"])
def test_many_documents_stand_there_once(elasticsearch, compress):
    index = f"many-{compress}".lower()
    batch = docs(index, MANY)
    first, again = send(elasticsearch, batch, batch, compress=compress)
    assert told(first) == (MANY, 0, [], None, MANY)
    assert told(again) == (0, MANY, [], None, MANY)
    assert found(elasticsearch, index) == list(range(MANY))


def test_what_does_not_fit_the_mapping_is_named(elasticsearch):
    mapping = {"dynamic": "strict", "properties": {"n": {"type": "long"}}}
    elasticsearch.ask("PUT", "mapped", {"mappings": mapping})
    good = docs("mapped", 4)
    wrong = Document("mapped", "wrong", b'{"n":"secret"}')
    strange = Document("mapped", "strange", b'{"m":1}')
    broken = Document("mapped", "broken", b'{"n":')
    long = Document("mapped", "x" * 600, b'{"n":9}')
    batch = [good[0], wrong, good[1], strange, broken, good[2], long, good[3]]
    (sent,) = send(elasticsearch, batch)
    assert told(sent) == (4, 0, ["wrong", "strange", "broken", "x" * 600], None, 8)
    reasons = [one.reason for one in sent.refused]
    assert reasons[0] == (
        "document_parsing_exception: [1:6] failed to parse field [n] of type [long] in document "
        "with id 'wrong'"
    )
    assert [reason.partition(":")[0] for reason in reasons[1:]] == [
        "strict_dynamic_mapping_exception",
        "document_parsing_exception",
        "action_request_validation_exception",
    ]
    assert found(elasticsearch, "mapped") == [0, 1, 2, 3]


BLOCKS = [
    ("index.blocks.write", "lift it (index.blocks.*)"),
    ("index.blocks.read_only_allow_delete", "free disk space"),
]


@pytest.mark.parametrize(("block", "do"), BLOCKS)
def test_a_block_is_trouble_and_sets_nothing_aside(elasticsearch, block, do):
    index = f"blocked-{block[13:]}"
    elasticsearch.ask("PUT", index, {})
    elasticsearch.ask("PUT", f"{index}/_settings", {block: True})
    (before,) = send(elasticsearch, docs(index, 3))
    assert told(before) == (0, 0, [], "read_only", 0)
    assert do in before.trouble.words
    elasticsearch.ask("PUT", f"{index}/_settings", {block: None})
    assert told(send(elasticsearch, docs(index, 3))[0]) == (3, 0, [], None, 3)


SETTINGS = [
    ("no such index", {"action.auto_create_index": "false"}, "missing"),
    ("no shard left", {"cluster.max_shards_per_node": 1}, "request"),
]


@pytest.mark.parametrize(
    ("settings", "kind"), [pytest.param(*case, id=name) for name, *case in SETTINGS]
)
def test_what_is_set_up_wrong_sets_nothing_aside(elasticsearch, settings, kind):
    index = f"unmade-{kind}"
    elasticsearch.ask("PUT", "one-at-least", {})
    elasticsearch.ask("PUT", "_cluster/settings", {"persistent": settings})
    (before,) = send(elasticsearch, docs(index, 2))
    elasticsearch.ask("PUT", "_cluster/settings", {"persistent": dict.fromkeys(settings)})
    assert told(before) == (0, 0, [], kind, 0)
    assert told(send(elasticsearch, docs(index, 2))[0]) == (2, 0, [], None, 2)


def test_a_closed_index_and_a_stream_that_wants_create(elasticsearch):
    elasticsearch.ask("PUT", "closed", {})
    elasticsearch.ask("POST", "closed/_close")
    template = {"index_patterns": ["stream-*"], "data_stream": {}, "priority": 900}
    elasticsearch.ask("PUT", "_index_template/bulk-stream", template)
    timed = b'{"@timestamp":1,"n":1}'
    sent = send(
        elasticsearch,
        docs("closed", 1),
        [Document("stream-a", "one", timed), Document("stream-a", "untimed", b'{"n":2}')],
        [Document("stream-a", "one", timed, op="index")],
    )
    assert [told(one) for one in sent] == [
        (0, 0, [], "request", 0),
        (1, 0, ["untimed"], None, 2),
        (0, 0, [], "request", 0),
    ]
    elasticsearch.ask("POST", "closed/_open")


def test_only_a_higher_version_replaces(elasticsearch):
    def version(number):
        source = b'{"n":%d}' % number
        return Document("versions", "one", source, op="index", version=number)

    sent = send(elasticsearch, [version(2)], [version(1), version(2), version(4)], [version(3)])
    assert [told(one)[:2] for one in sent] == [(1, 0), (1, 2), (0, 1)]
    assert found(elasticsearch, "versions") == [4]


def test_a_node_that_is_killed_meanwhile_has_everything_once(elasticsearch):
    """The caller sends again what was not answered for; nothing is lost, nothing is there twice."""
    batch = docs("killed", MANY)

    async def story(bulk):
        done, troubles = 0, []
        for _ in range(100):
            sent = await bulk.send(batch[done : done + 1_000])
            before, done = done, done + sent.done
            if sent.trouble is not None:
                troubles.append(sent.trouble.kind)
                await asyncio.sleep(0.2)
            if before < KILLED_AFTER <= done:
                elasticsearch.kill()
            elif not elasticsearch.is_running and len(troubles) >= 2:
                await asyncio.to_thread(elasticsearch.start)
            if done == MANY:
                break
        return done, set(troubles)

    done, troubles = run(elasticsearch, story, most_documents=200)
    assert done == MANY
    assert "unreachable" in troubles
    assert found(elasticsearch, "killed") == list(range(MANY))


def test_no_request_is_larger_than_the_node_takes(elasticsearch_runs, tmp_path: Path):
    """It answers so while the request is still being sent."""
    with Elasticsearch(tmp_path, {"http.max_content_length": "200kb"}) as small:
        large = Document("small", "large", b'{"n":8,"x":"%b"}' % (b"x" * 400_000))
        batch = [*docs("small", 8, x="x" * 80_000), large]
        (sent,) = send(small, batch, compress=False)
        assert told(sent) == (8, 0, ["large"], None, 9)
        assert found(small, "small") == list(range(8))
