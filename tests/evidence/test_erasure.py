"""A person is erased whole, everybody else stays, and the log still proves itself."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from evidence import erasure as erasure_module
from evidence.custody import hold, release
from evidence.entry import commit
from evidence.erasure import Erasure, Refused, erase, erasures, find
from evidence.merkle import Tree, leaf_hash
from evidence.signing import load_signer
from evidence.store import EmbeddedStore
from records.event import Actor, Exposure, RawLine
from records.ids import digest
from records.incident import Coverage
from tests._events import NOON_MS, action, finding, incident, receipt

PERSON, OTHER, WHO = "person-77", "person-770", Actor("principal", "u-66")
BY: Any = {"by": "ada", "why": "request 5", "at_ms": NOON_MS}
EVENTS = [f"a1b2-{n:x}" for n in range(4)]
"""0 and 1 are about the person, 2 about the other; 3 is the actor's own."""


def exposure(n, target):
    return Exposure(
        event=EVENTS[n], time_ms=NOON_MS + n, actor=WHO, principal="u-66", provenance="gateway",
        target=target,
    )  # fmt: skip


def line(n, who):
    return RawLine(EVENTS[n], f"digest{n}", f'GET /users/{who}/x "s"'.encode(), masked=False)


FOUND = finding(
    actor=WHO, users=(PERSON, OTHER), evidence=(EVENTS[0], EVENTS[2]),
    message=f"u-66 read data of {PERSON}, {OTHER}", explain={"users": [PERSON, OTHER], "limit": 5},
)  # fmt: skip
DOCUMENT = {
    "event": {"id": "fin-1"}, "related": {"user": [PERSON, OTHER]}, "message": FOUND.message,
    "breachline": {"evidence": [{"event": EVENTS[0], "sha256": "digest0"}]},
}  # fmt: skip
CASE = incident(
    actors=(WHO,), status="resolved", last_seen_ms=NOON_MS + 9,
    coverage=Coverage(from_ms=NOON_MS, complete=True),
)  # fmt: skip
PROSE = f"read data of {PERSON}"
BLOCK = action(reason=f"cross_user_read (high): u-66 read data of {PERSON}, {OTHER}")


@pytest.fixture
def store(tmp_path):
    signer = load_signer(tmp_path / "data", "breachline/default/evidence", create=True)
    with EmbeddedStore.open(tmp_path / "store") as opened:
        opened.ledger.sign_with(signer.name, [signer])
        fill(opened)
        yield opened


def fill(store):
    with store.transaction():
        store.add_exposures([exposure(0, PERSON), exposure(1, PERSON), exposure(2, OTHER)])
        store.add_lines([line(0, PERSON), line(1, PERSON), line(2, OTHER), line(3, "u-66")])
        store.put_findings([FOUND])
        store.put_incidents([CASE])
        log = store.log
        log.append("finding", "fin-1", NOON_MS, "fin-1", DOCUMENT)
        log.append_intent(BLOCK)
        log.append_receipt(receipt(detail=f"blocked for what befell {PERSON}"))
        for one in store.lines(EVENTS):
            log.append_captured(one, "inc-1", NOON_MS)
        store.save_state(
            [
                ("incidents", "incident/inc-1", msgspec.msgpack.encode([[PERSON, 3], OTHER])),
                ("cross_user_read", PERSON, msgspec.msgpack.encode([1, "x"])),
                ("incidents", "incident/inc-2", msgspec.msgpack.encode(["fin-1", PROSE])),
                ("incidents", "incident/inc-3", msgspec.msgpack.encode(["fin-2", "by u-66"])),
                ("runner", "tally", msgspec.msgpack.encode({"n": 7})),
            ]
        )
        store.outbox_add("act-1", NOON_MS)
        store.outbox_update(
            "act-1", state="done", attempts=1, next_attempt_ms=0, reason=f"over: {PERSON}"
        )


class Leaves:
    """A tree of which nothing but the entries is kept."""

    def __init__(self, entries):
        self._hashes = [leaf_hash(entry.leaf) for entry in entries]

    def leaves(self, start, end):
        return self._hashes[start:end]

    def node(self, level, number):
        return None


def is_proven(store):
    """Whether the newest head is over all leaves; what is left of bodies must be its leaf's."""
    entries = list(store.log.entries())
    for entry in entries:
        if entry.payload is not None:
            assert commit(entry.salt, entry.entry_id, entry.payload) == entry.commitment
    assert store.ledger.tree.root(len(entries)) == Tree(Leaves(entries)).root(len(entries))
    return store.ledger.head().size == len(entries)


def test_the_person_is_nowhere_and_the_log_is_still_proven(store):
    before = [(e.entry_id, e.leaf) for e in store.log.entries()]
    done = erase(store, PERSON, history=3, **BY)
    assert find(store, PERSON).is_empty
    assert is_proven(store)
    after = list(store.log.entries())
    assert [(e.entry_id, e.leaf) for e in after[: len(before)]] == before
    assert [e.entry_id for e in after if e.payload is None] == [
        "fin-1", "act-1", before[2][0], before[3][0], before[4][0],
    ]  # fmt: skip
    assert [(e.kind, e.entry_id) for e in after[len(before) :]] == [
        ("erasure", after[len(before)].entry_id),
        ("finding", f"fin-1~{len(before) + 1}"),
        ("intent", f"act-1~{len(before) + 1}"),
    ]
    assert done == Erasure(
        user=digest(done.salt, PERSON, length=64), salt=done.salt, entries=5, lines=2, exposures=2,
        records=1, state=3, history=3, **BY,
    )  # fmt: skip
    assert erasures(store) == [done]


def test_others_stay_and_counts_stay(store):
    erase(store, PERSON, **BY)
    assert [one.event for one in store.lines(EVENTS)] == EVENTS[2:]
    targets = [one.target for one in store.exposures_of([WHO], 0, NOON_MS * 2)]
    assert (len(targets), targets[2], targets[0] == targets[1]) == (3, OTHER, True)
    (left,) = store.findings()
    assert left == replace(
        FOUND, users=(targets[0], OTHER), message=f"u-66 read data of {targets[0]}, {OTHER}",
        explain={"users": [targets[0], OTHER], "limit": 5},
    )  # fmt: skip
    assert store.incident("inc-1") == CASE
    (intent,) = store.log.actions()
    assert intent == replace(BLOCK, reason=BLOCK.reason.replace(f"{PERSON},", f"{targets[0]},"))
    assert dict(store.load_state("incidents")) == {
        "incident/inc-1": msgspec.msgpack.encode([[targets[0], 3], OTHER]),
        "incident/inc-2": msgspec.msgpack.encode(["fin-1", f"read data of {targets[0]}"]),
        "incident/inc-3": msgspec.msgpack.encode(["fin-2", "by u-66"]),
    }
    assert dict(store.load_state("cross_user_read")) == {
        targets[0]: msgspec.msgpack.encode([1, "x"])
    }
    assert dict(store.load_state("runner")) == {"tally": msgspec.msgpack.encode({"n": 7})}


def test_no_byte_of_the_id_is_left_on_the_disk(store, tmp_path):
    def content():
        files = (tmp_path / "store").iterdir()
        return b"".join(f.read_bytes() for f in files).replace(OTHER.encode(), b"")

    store.scrub()
    assert PERSON.encode() in content()
    erase(store, PERSON, **BY)
    store.scrub()
    assert PERSON.encode() not in content()
    assert is_proven(store)


def test_what_comes_after_is_about_somebody_new(store):
    """Numbers of rows that were remembered must not lead back."""
    erase(store, PERSON, **BY)
    store.add_exposures([exposure(3, PERSON)])
    assert (find(store, PERSON).exposures, find(store, PERSON).who) == (1, [])


def test_the_other_line_of_an_event_goes_too(store):
    """What the service logged of the request is about the person as well."""
    other = RawLine("c3d4-1", "digest", b'{"owner":"somebody"}', masked=False)
    store.add_lines([other])
    store.add_halves({EVENTS[0]: other.event})
    before = find(store, PERSON).lines
    assert erase(store, PERSON, **BY)
    assert before == 3
    assert store.digests([EVENTS[0], other.event]) == {}


def test_who_asked_is_erased_as_well(store):
    done = erase(store, "u-66", **BY)
    assert done.exposures == 3
    assert find(store, "u-66").is_empty
    (actor,) = store.incident("inc-1").actors
    assert actor.value.startswith("erased-")
    assert len(list(store.exposures_of([actor], 0, NOON_MS * 2))) == 3


def test_a_word_is_no_name(store):
    """An id that is an ordinary word of our own sentences."""
    assert find(store, "blocked").is_empty
    assert find(store, "evidence").is_empty
    assert find(store, "person").is_empty


HELD = [
    ("the person's incident", "person-77", True),
    ("another of the incident", "person-770", True),
    ("its actor", "u-66", True),
    ("nobody of it", "person-9", False),
]


@pytest.mark.parametrize(("name", "user", "refused"), HELD, ids=[case[0] for case in HELD])
def test_what_is_held_is_not_erased(store, name, user, refused):
    hold(store, CASE, EVENTS, **BY)
    before = list(store.log.entries())
    if not refused:
        erase(store, user, **BY)
        return
    with pytest.raises(Refused, match=r"legal hold.*17\(3\)\(e\).*inc-1 is held by ada.*release"):
        erase(store, user, **BY)
    assert list(store.log.entries()) == before, name
    assert not find(store, user).is_empty
    release(store, CASE, **BY)
    erase(store, user, **BY)
    assert find(store, user).is_empty


def test_an_actor_of_an_open_case_is_not_erased_and_its_victims_are(store):
    store.put_incidents([replace(CASE, version=2, status="open")])
    with pytest.raises(Refused, match="an actor of inc-1, which is open"):
        erase(store, "u-66", **BY)
    erase(store, PERSON, **BY)


def test_an_action_that_is_not_over_keeps_its_intent(store):
    store.outbox_update(
        "act-1", state="waiting", attempts=1, next_attempt_ms=NOON_MS * 2, reason="blocked"
    )
    with pytest.raises(Refused, match="act-1 names them and is not over"):
        erase(store, PERSON, **BY)


def test_a_reason_is_needed(store):
    with pytest.raises(ValueError, match="give a reason"):
        erase(store, PERSON, by="ada", why=" ", at_ms=NOON_MS)


def test_a_crash_in_the_middle_erases_nothing(store, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    before = list(store.log.entries())
    monkeypatch.setattr(erasure_module, "_rename", crash)
    with pytest.raises(KeyboardInterrupt):
        erase(store, PERSON, **BY)
    assert list(store.log.entries()) == before
    assert find(store, PERSON).lines == 2
    assert is_proven(store)
