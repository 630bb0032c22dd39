"""Holds that keep, releases that end them, and who read what."""

from typing import Any

import pytest
from msgspec.structs import replace

from evidence.custody import (
    MOST_NAMED,
    Read,
    held_incidents,
    hold,
    hold_words,
    holds,
    holds_of,
    note,
    reads,
    release,
)
from records.event import RawLine
from tests._events import NOON_MS, incident

DAY_MS = 86_400_000
WHO: Any = {"by": "ada", "why": "case 17", "at_ms": NOON_MS}
READ = Read(by="ada", why="", at_ms=NOON_MS, what="evidence list", incident="inc-1", count=2)


def line(n):
    return RawLine(f"a1b2-{n:x}", f"digest{n}", b"line", masked=False)


def kept(store):
    return [one.event for one in store.lines([f"a1b2-{n:x}" for n in range(9)])]


def test_what_is_held_outlives_the_look_back_and_the_rest_does_not(store):
    one = incident()
    store.put_incidents([one])
    store.add_lines([line(n) for n in range(3)], NOON_MS)
    made = hold(store, one, ["a1b2-0", "a1b2-2"], **WHO)
    assert holds(store) == holds_of(store, one) == [made]
    assert list(held_incidents(store)) == [(made, one)]
    store.prune(NOON_MS + 90 * DAY_MS, DAY_MS)
    assert kept(store) == ["a1b2-0", "a1b2-2"]
    assert [entry.kind for entry in store.log.entries()] == ["hold"]
    assert hold_words(made) == (
        f"inc-1 is held by ada since 2026-11-22T12:00:00.000Z: case 17 ({made.id})"
    )


def test_a_release_ends_one_hold(store):
    one = incident()
    store.put_incidents([one])
    first = hold(store, one, [], **WHO)
    second = hold(store, one, [], by="bob", why="case 18", at_ms=NOON_MS)
    with pytest.raises(ValueError, match=f"several holds.*{first.id}, {second.id}.*--hold"):
        release(store, one, **WHO)
    assert release(store, one, only=first.id, **WHO) == first
    assert holds(store) == [second]
    assert release(store, one, **WHO) == second
    assert holds(store) == []
    with pytest.raises(LookupError, match="releasing inc-1: no hold stands on it"):
        release(store, one, **WHO)
    with pytest.raises(LookupError, match="no hold hld-9 stands"):
        release(store, one, only="hld-9", **WHO)


@pytest.mark.parametrize("why", ["", "  "])
def test_a_reason_is_needed(store, why):
    one = incident()
    with pytest.raises(ValueError, match="holding inc-1: give a reason"):
        hold(store, one, [], by="ada", why=why, at_ms=NOON_MS)
    hold(store, one, [], **WHO)
    with pytest.raises(ValueError, match="releasing inc-1: give a reason"):
        release(store, one, by="ada", why=why, at_ms=NOON_MS)
    assert len(holds(store)) == 1


def test_a_hold_follows_its_incident_into_the_one_that_absorbed_it(store):
    one, other = incident(), incident("inc-0", merged=("inc-1",))
    store.put_incidents([one])
    made = hold(store, one, [], **WHO)
    store.put_incidents([other])
    assert holds_of(store, other) == [made]
    assert list(held_incidents(store)) == [(made, other)]
    assert holds_of(store, incident("inc-2")) == []
    assert release(store, other, **WHO) == made


def test_reads_and_exports_of_an_incident_or_of_all(store):
    export = replace(READ, kind="export", what="evidence export", at_ms=NOON_MS + 1, sha256="ab")
    search = replace(READ, what="history", incident="", at_ms=NOON_MS + 2, question={"ip": "x"})
    for one in [export, READ, READ, search]:
        note(store, one)
    assert reads(store) == [READ, export, search]
    assert reads(store, incident()) == [READ, export]
    assert reads(store, incident("inc-2")) == []
    assert reads(store, incident("inc-2", merged=("inc-1",))) == [READ, export]
    assert [entry.kind for entry in store.log.entries()] == ["export", "read", "read"]


def test_a_long_read_names_the_first_events_and_counts_all(store):
    events = tuple(f"a1b2-{n:x}" for n in range(MOST_NAMED + 1))
    note(store, replace(READ, events=events, count=len(events)))
    assert reads(store) == [replace(READ, events=events[:-1], count=len(events))]
