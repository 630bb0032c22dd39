import asyncio
import errno
import json
import stat
from contextlib import asynccontextmanager
from random import Random

import httpx
import pytest

from evidence.ledger import Head
from evidence.signing import load_signer
from evidence.store import EmbeddedStore
from streams.heads import (
    EVERY_MS,
    MOST_S,
    HeadFile,
    NotPublished,
    Publisher,
    Told,
    Webhook,
    told,
)
from tests._events import NOON_MS, action

NAME = "breachline/default/evidence"
TOKEN = "synthetic-words"
URL = "https://witness.example.test/heads/of-ours"
AT = "2026-11-22T12:00:00.000Z"


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        opened.ledger.sign_with(NAME, [load_signer(tmp_path, NAME, create=True)])
        yield opened


def grow(store, *names):
    for name in names:
        store.log.append_intent(action(name, decided_ms=NOON_MS))
    return store.ledger.head()


class Double:
    """A place that takes heads, or says what it was told to say."""

    def __init__(self, name="double"):
        self.name = name
        self.heads = []
        self.faults = []

    async def put(self, head, at_ms):
        if self.faults:
            raise self.faults.pop(0)
        self.heads.append((head.size, at_ms))


def test_the_newest_head_is_told_once_and_not_too_often(store):
    place = Double()
    publisher = Publisher(store, [place], Random(1))

    async def run():
        await publisher.step(NOON_MS)
        assert place.heads == []
        grow(store, "a", "b")
        await publisher.step(NOON_MS)
        await publisher.step(NOON_MS + 2 * EVERY_MS)
        assert place.heads == [(2, NOON_MS)]
        grow(store, "c")
        await publisher.step(NOON_MS + EVERY_MS - 1)
        assert place.heads == [(2, NOON_MS)]
        grow(store, "d", "e")
        await publisher.step(NOON_MS + EVERY_MS)
        assert place.heads == [(2, NOON_MS), (5, NOON_MS)]
        grow(store, "f")
        await publisher.last(NOON_MS + EVERY_MS + 1)
        await publisher.last(NOON_MS + EVERY_MS + 2)
        assert [size for size, _ in place.heads] == [2, 5, 6]

    asyncio.run(run())


def test_a_place_that_fails_waits_longer_each_time_and_holds_up_no_other(store):
    bad, good = Double("bad"), Double("good")
    bad.faults = [NotPublished(f"fault {n}") for n in range(12)]
    publisher = Publisher(store, [bad, good], Random(1))
    waits, now_ms = [], NOON_MS

    async def run(now_ms):
        grow(store, "a")
        while bad.faults:
            await publisher.step(now_ms)
            at = told(store)["bad"]
            waits.append(at.next_attempt_ms - now_ms)
            now_ms = at.next_attempt_ms
        assert told(store) == {
            "bad": Told(attempts=12, next_attempt_ms=now_ms, trouble="fault 11"),
            "good": Told(size=1, at_ms=NOON_MS),
        }
        await publisher.step(now_ms)
        assert told(store)["bad"] == Told(size=1, at_ms=now_ms)

    asyncio.run(run(now_ms))
    assert good.heads == bad.heads == [(1, NOON_MS)]
    assert max(waits) <= MOST_S * 1000
    assert sum(waits[:3]) < sum(waits[-3:])


def test_at_the_end_a_place_that_waits_is_asked_once_more(store):
    place = Double()
    place.faults = [NotPublished("gone", 3600.0), NotPublished("gone", 3600.0)]
    publisher = Publisher(store, [place], Random(1))
    grow(store, "a")
    asyncio.run(publisher.step(NOON_MS))
    asyncio.run(publisher.last(NOON_MS + 1))
    assert told(store)["double"].attempts == 2
    asyncio.run(publisher.last(NOON_MS + 2))
    assert place.heads == [(1, NOON_MS)]


def test_nothing_is_told_before_it_is_durable(store):
    place, order = Double(), []

    async def durable():
        order.append(list(place.heads))

    publisher = Publisher(store, [place], Random(1), durable=durable)
    grow(store, "a")
    asyncio.run(publisher.step(NOON_MS))
    assert (order, place.heads) == ([[]], [(1, NOON_MS)])


# A file


def put(place, head):
    asyncio.run(place.put(head, NOON_MS))


def test_a_file_grows_by_a_line_a_head(store, tmp_path):
    file = tmp_path / "heads.ndjson"
    place = HeadFile(file)
    one, two = grow(store, "a"), grow(store, "b")
    put(place, one)
    put(place, two)
    put(place, two)
    expected = [
        {"origin": NAME, "size": head.size, "note": head.note, "at": AT} for head in (one, two)
    ]
    assert list(map(json.loads, file.read_text().splitlines())) == expected
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_line_that_a_crash_broke_off_stays_apart(store, tmp_path):
    file = tmp_path / "heads.ndjson"
    file.write_text('{"origin": "brea')
    put(HeadFile(file), grow(store, "a"))
    broken, whole = file.read_text().splitlines()
    assert (broken, json.loads(whole)["size"]) == ('{"origin": "brea', 1)


def test_heads_of_another_log_do_not_count(store, tmp_path):
    file = tmp_path / "heads.ndjson"
    file.write_text(json.dumps({"origin": f"{NAME}/other", "size": 9, "note": "x"}) + "\n")
    put(HeadFile(file), grow(store, "a"))
    assert [json.loads(line)["size"] for line in file.read_text().splitlines()] == [9, 1]


def rolled_back(store):
    return store.ledger.head(), next(store.ledger.heads())


def rewritten(store):
    head = store.ledger.head()
    with EmbeddedStore.open(store.path.parent / "another") as other:
        other.ledger.sign_with(NAME, [load_signer(store.path.parent, NAME, create=False)])
        grow(other, *(f"x{n}" for n in range(head.size)))
        return head, other.ledger.head()


@pytest.mark.parametrize("history", [rolled_back, rewritten])
def test_a_history_that_is_not_the_published_one_is_told_and_not_published(
    store, tmp_path, history
):
    file = tmp_path / "heads.ndjson"
    grow(store, "a", "b", "c")
    published, claimed = history(store)
    put(HeadFile(file), published)
    before = file.read_bytes()
    with pytest.raises(NotPublished, match=r"was told of 3 entries.*rolled back or rewritten"):
        put(HeadFile(file), claimed)
    assert file.read_bytes() == before


def test_a_head_that_two_keys_signed_is_the_same_head(store, tmp_path):
    file = tmp_path / "heads.ndjson"
    head = grow(store, "a")
    put(HeadFile(file), head)
    put(HeadFile(file), Head(head.size, head.note + "— another c2lnbmF0dXJl\n"))
    assert len(file.read_text().splitlines()) == 1


def test_a_file_that_cannot_be_written_says_what_to_correct(store, tmp_path):
    folder, head = tmp_path / "heads", grow(store, "a")
    folder.mkdir()
    with pytest.raises(NotPublished, match=r"heads: Is a directory: .*ledger\.publish\.file"):
        put(HeadFile(folder), head)


# A webhook


@asynccontextmanager
async def webhook(answer, token_env="HEADS_TOKEN", environ=None):
    environ = {"HEADS_TOKEN": TOKEN} if environ is None else environ
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield Webhook(URL, token_env, environ, client, lambda: NOON_MS)


def posted(head, answer, **given):
    async def run():
        async with webhook(answer, **given) as place:
            await place.put(head, NOON_MS)

    asyncio.run(run())


def test_a_webhook_is_sent_the_head_and_its_token(store):
    head, asked = grow(store, "a"), []

    def answer(request):
        asked.append(
            (request.method, str(request.url), request.headers["Authorization"],
             json.loads(request.content))
        )  # fmt: skip
        return httpx.Response(204)

    posted(head, answer)
    document = {"origin": NAME, "size": 1, "note": head.note, "at": AT}
    assert asked == [("POST", URL, f"Bearer {TOKEN}", document)]


def test_without_a_token_configured_none_is_sent(store):
    asked = []

    def answer(request):
        asked.append("Authorization" in request.headers)
        return httpx.Response(200)

    posted(grow(store, "a"), answer, token_env="")
    assert asked == [False]


def broken(_request):
    raise httpx.ReadError("Bearer " + TOKEN)


def nobody(_request):
    raise httpx.ConnectError("refused")


def odd(_request):
    raise OSError(errno.EIO, TOKEN)


FAULTS = [
    ("its token is refused", lambda _: httpx.Response(401), "set $HEADS_TOKEN to a token", 2.0),
    ("no such path", lambda _: httpx.Response(404), "correct ledger.publish.webhook", 2.0),
    ("it moved", lambda _: httpx.Response(301), "correct ledger.publish.webhook", 2.0),
    ("it fails", lambda _: httpx.Response(500), "answered 500: look at its log", 2.0),
    (
        "it asks to wait",
        lambda _: httpx.Response(429, headers={"Retry-After": "77"}),
        "answered 429",
        77.0,
    ),
    ("nobody there", nobody, "is ledger.publish.webhook right?", 2.0),
    ("cut off", broken, "the connection broke", 2.0),
    ("system error", odd, "the connection broke", 2.0),
]


@pytest.mark.parametrize(("name", "answer", "says", "wait_s"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_webhook_that_fails_says_what_to_do_and_nothing_secret(store, name, answer, says, wait_s):
    with pytest.raises(NotPublished) as fault:
        posted(grow(store, "a"), answer)
    assert says in str(fault.value)
    assert fault.value.wait_s == wait_s
    assert TOKEN not in str(fault.value)
    assert "of-ours" not in str(fault.value)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ü"])
def test_a_token_that_no_header_can_carry_is_not_sent(store, token):
    with pytest.raises(NotPublished, match=r"\$HEADS_TOKEN holds no token: set it and restart"):
        posted(grow(store, "a"), nobody, environ={"HEADS_TOKEN": token})


def test_the_name_of_a_webhook_has_no_secret_of_its_path(store):
    async def run():
        async with webhook(nobody) as place:
            return place.name

    assert asyncio.run(run()) == "webhook https://witness.example.test"


def test_metrics_say_how_far_each_place_is_and_name_none(store):
    bad, good = Double("webhook https://witness.example.test"), Double("file /var/heads")
    publisher = Publisher(store, [bad, good], Random(1))
    grow(store, "a", "b")
    asyncio.run(publisher.step(NOON_MS))
    bad.faults = [NotPublished("gone")]
    grow(store, "c")
    asyncio.run(publisher.step(NOON_MS + EVERY_MS))
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in publisher.metrics(NOON_MS + EVERY_MS + 2_000)
        for sample in family.samples
    }
    assert found == {
        ("breachline_head_entries",): 3.0,
        ("breachline_head_published_entries", "webhook"): 2.0,
        ("breachline_head_published_entries", "file"): 3.0,
        ("breachline_head_unpublished_seconds", "webhook"): EVERY_MS / 1000 + 2.0,
        ("breachline_head_unpublished_seconds", "file"): 0.0,
    }
