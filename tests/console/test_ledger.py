import asyncio
import json
from random import Random

import pytest

from evidence.checkpoint import parse
from evidence.signing import known_keys
from evidence.store import EmbeddedStore
from streams.heads import HeadFile, Publisher
from streams.kafka import dispatch
from streams.live import lock
from streams.projection import Stand, _keep, backlog, stand
from streams.sealing import open_signed
from streams.settings import Settings
from tests._events import NOON_MS, action, receipt
from tests.console._deployment import CONFIG, Decider

ORIGIN = "breachline/default/evidence"
ELASTIC = "elasticsearch: {hosts: ['http://127.0.0.1:9']}\n"


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "var")


def entered(settings, *names):
    with open_signed(settings) as store:
        for name in names:
            store.log.append_intent(action(name))


def vkeys(settings):
    return [one.format() for one in known_keys(settings.data_dir)]


def test_the_key_is_made_once_and_shown(cli, settings):
    missing = cli("evidence", "key", "show")
    assert (missing.code, missing.out) == (2, "")
    assert "has no key yet: `breachline run` makes it" in missing.err
    made = cli("evidence", "key", "create")
    again = cli("evidence", "key", "create")
    shown = cli("evidence", "key", "show")
    (vkey,) = vkeys(settings)
    assert made == again == shown == (0, f"{vkey}\n", "")
    private = (settings.data_dir / "keys" / "ledger.key").read_text().strip()
    assert private.rpartition("+")[2] not in made.out


def test_a_replaced_key_is_an_entry_that_both_sign_and_the_new_one_goes_on(cli, settings):
    entered(settings, "act-1")
    said = cli("evidence", "key", "rotate", "--why", "yearly")
    old, new = vkeys(settings)
    assert (said.code, said.out, said.err) == (0, f"{new}\n", "")
    entered(settings, "act-2")
    with EmbeddedStore.open_readonly(settings.data_dir) as store:
        (payload,) = store.log.payloads("key")
        signed = [
            {one.key_id.hex() for one in parse(head.note)[1]} for head in store.ledger.heads()
        ]
    document = json.loads(payload)
    assert (document["old"], document["new"], document["why"]) == (old, new, "yearly")
    first, second = (vkey.split("+")[1] for vkey in (old, new))
    assert signed == [{first}, {first, second}, {second}]
    rows = [json.loads(row) for row in cli("evidence", "key", "show", "--json").out.splitlines()]
    assert rows == [
        {"key": old, "id": first, "current": False},
        {"key": new, "id": second, "current": True},
    ]


def test_a_key_is_not_replaced_while_run_works(cli, settings):
    entered(settings, "act-1")
    with lock(settings.data_dir):
        said = cli("evidence", "key", "rotate", "--why", "yearly")
    assert (said.code, said.out) == (2, "")
    assert "replacing the key: another breachline run holds" in said.err
    assert len(vkeys(settings)) == 1


def test_a_key_is_not_replaced_while_a_block_is_entered(cli, settings):
    with open_signed(settings):
        said = cli("evidence", "key", "rotate", "--why", "yearly")
    assert (said.code, said.out) == (2, "")
    assert "wait until it has ended" in said.err
    assert len(vkeys(settings)) == 1


def test_of_a_deployment_the_key_is_replaced_once_its_workers_have_the_new_one(
    cli, settings, tmp_path, monkeypatch
):
    decider = Decider()
    monkeypatch.setattr(dispatch, "give", decider.give)
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    (old,) = cli("evidence", "key", "create").out.split()
    following = settings.data_dir / "keys" / "ledger.key.next"

    decider.how = "refused"
    decider.receipt = receipt(state="failed", detail="the worker has no ledger.key.next: copy it")
    refused = cli("evidence", "key", "rotate", "--why", "yearly")
    assert (refused.code, refused.out) == (1, "")
    assert "replacing the ledger key: refused: the worker has no ledger.key.next" in refused.err
    assert following.exists()

    decider.how = "done"
    done = cli("evidence", "key", "rotate", "--why", "yearly")
    _, new = vkeys(settings)
    assert (done.code, done.out) == (0, f"{new}\n")
    assert not following.exists()
    assert [(one.kind, one.target, one.why) for one, _ in decider.given] == [
        ("rotate", new, "yearly")
    ] * 2
    assert cli("evidence", "key", "show").out.split() == [old, new]
    assert cli("evidence", "key", "create").out.split() == [new]


async def publish(store, file):
    await Publisher(store, [HeadFile(file)], Random(1)).last(NOON_MS)


def test_heads_and_where_each_was_published(cli, settings, tmp_path):
    file = tmp_path / "heads.ndjson"
    entered(settings, "act-1", "act-2")
    with open_signed(settings) as store:
        asyncio.run(publish(store, file))
    entered(settings, "act-3")
    said = cli("evidence", "heads")
    rows = [line.split(maxsplit=2) for line in said.out.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [
        ("1", f"file {file}"),
        ("2", f"file {file}"),
        ("3", "published nowhere"),
    ]
    assert said.err == f"file {file}: told of 2 entries at 2026-11-22T12:00:00.000Z\n"
    documents = list(map(json.loads, cli("evidence", "heads", "--json").out.splitlines()))
    assert [one["size"] for one in documents] == [1, 2, 3, 2]
    assert documents[3] == {
        "place": f"file {file}", "size": 2, "at": "2026-11-22T12:00:00.000Z", "trouble": "",
    }  # fmt: skip
    assert {one["origin"] for one in documents[:3]} == {ORIGIN}
    assert len(cli("evidence", "heads", "--limit", 1).out.splitlines()) == 1


def test_everything_is_indexed_again_on_demand(cli, settings, tmp_path):
    (tmp_path / "breachline.yaml").write_text(ELASTIC)
    entered(settings, "act-1", "act-2")
    with open_signed(settings) as store:
        _keep(store, Stand(seq=2, attempts=3, next_attempt_ms=9, kind="login", trouble="key"))
    dry = cli("evidence", "rebuild", "--dry-run")
    assert (dry.code, dry.out) == (0, "2 entries would be indexed again.\n")
    done = cli("evidence", "rebuild", "--yes")
    assert (done.code, done.out) == (0, "2 entries are indexed again while `run` runs.\n")
    with EmbeddedStore.open_readonly(settings.data_dir) as store:
        assert (stand(store), backlog(store)) == (Stand(), 2)


WRONG = [
    ("neither", [], ELASTIC, "Give one of --yes, --dry-run."),
    ("both", ["--yes", "--dry-run"], ELASTIC, "Give one of --yes, --dry-run."),
    ("no Elasticsearch", ["--yes"], "", "no Elasticsearch is configured"),
    ("nothing yet", ["--yes"], ELASTIC, "nothing was kept there yet"),
]


@pytest.mark.parametrize(("name", "words", "config", "says"), WRONG, ids=[w[0] for w in WRONG])
def test_what_cannot_be_indexed_again_is_said(cli, tmp_path, name, words, config, says):
    (tmp_path / "breachline.yaml").write_text(config or "data_dir: var\n")
    said = cli("evidence", "rebuild", *words)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
