"""Who kept, read and handed out evidence: legal holds, their releases, reads and exports.

A person's name and reason come in; entries of the log go out, and what they add up to. While a hold
stands, nothing that its incident rests on is pruned or erased. Nothing here asks who may do so.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from evidence.entry import canonical
from evidence.store import EmbeddedStore
from records.ids import digest, iso
from records.incident import Incident

MOST_NAMED = 1_000
"""Events that one entry names; all of them are counted."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that an incident's evidence must stay, whatever its age and whoever asks."""

    id: str
    incident: str
    by: str
    why: str
    at_ms: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that a hold has ended."""

    hold: str
    incident: str
    by: str
    why: str
    at_ms: int


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that was shown to a person, or handed out as a file."""

    kind: Literal["read", "export"] = "read"
    by: str
    why: str
    at_ms: int
    what: str
    """The command."""
    incident: str = ""
    count: int = 0
    """Of lines, people or events shown."""
    events: tuple[str, ...] = ()
    """The first of them, where they are events."""
    sha256: str = ""
    """Of the file, where one was written."""
    question: Mapping[str, Any] = {}
    """What was searched for, where that is what says which."""


def hold(
    store: EmbeddedStore,
    incident: Incident,
    events: Iterable[str],
    *,
    by: str,
    why: str,
    at_ms: int,
) -> Hold:
    """Keep an incident's evidence until a release: `events` are all that it rests on.

    Raises:
        ValueError: no reason is given.
    """
    if not why.strip():
        raise ValueError(f"holding {incident.id}: give a reason: a court will ask for it")
    name = "hld-" + digest(incident.id, by, why, at_ms)
    made = Hold(id=name, incident=incident.id, by=by, why=why, at_ms=at_ms)
    with store.writing(f"holding {incident.id}") as db:
        db.executemany("INSERT OR IGNORE INTO referred VALUES (?)", ((event,) for event in events))
        store.log.append("hold", name, at_ms, incident.id, msgspec.to_builtins(made))
    return made


def release(
    store: EmbeddedStore, incident: Incident, *, by: str, why: str, at_ms: int, only: str = ""
) -> Hold:
    """End the hold of an incident, or the one that is named where there are several.

    Raises:
        LookupError: none stands, or none of this name.
        ValueError: several stand, or no reason is given.
    """
    doing = f"releasing {incident.id}"
    standing = [one for one in holds_of(store, incident) if only in {"", one.id}]
    if not standing:
        named = f"no hold {only} stands on it" if only else "no hold stands on it"
        raise LookupError(f"{doing}: {named}; `breachline evidence holds` lists them")
    if len(standing) > 1:
        names = ", ".join(one.id for one in standing)
        raise ValueError(f"{doing}: several holds stand on it ({names}): name one with --hold")
    if not why.strip():
        raise ValueError(f"{doing}: give a reason: a court will ask for it")
    (ended,) = standing
    made = Release(hold=ended.id, incident=ended.incident, by=by, why=why, at_ms=at_ms)
    # One release a hold: whoever gives a second changes nothing.
    store.log.append("release", "rel-" + ended.id, at_ms, ended.incident, msgspec.to_builtins(made))
    return ended


def holds(store: EmbeddedStore) -> list[Hold]:
    """Those that stand, in the order in which they were set."""
    ended = {
        msgspec.json.decode(payload, type=Release).hold for payload in store.log.payloads("release")
    }
    found = (msgspec.json.decode(payload, type=Hold) for payload in store.log.payloads("hold"))
    return [one for one in found if one.id not in ended]


def holds_of(store: EmbeddedStore, incident: Incident) -> list[Hold]:
    """Those that stand on an incident, or on one that it absorbed."""
    return [one for one in holds(store) if _covers(store, one, incident)]


def _covers(store: EmbeddedStore, one: Hold, incident: Incident) -> bool:
    if one.incident in {incident.id, *incident.merged}:
        return True
    into = store.incident(one.incident)
    return into is not None and into.id == incident.id


def held_incidents(store: EmbeddedStore) -> Iterator[tuple[Hold, Incident]]:
    """Each hold that stands, with its incident as it now is."""
    for one in holds(store):
        if (incident := store.incident(one.incident)) is not None:
            yield one, incident


def note(store: EmbeddedStore, read: Read) -> str:
    """Enter that evidence was shown or handed out; the entry's id."""
    if len(read.events) > MOST_NAMED:
        read = msgspec.structs.replace(read, events=read.events[:MOST_NAMED])
    name = f"{'exp' if read.kind == 'export' else 'rd'}-" + digest(canonical(read).decode())
    store.log.append(read.kind, name, read.at_ms, read.incident, msgspec.to_builtins(read))
    return name


def reads(store: EmbeddedStore, incident: Incident | None = None) -> list[Read]:
    """Reads and exports, of one incident and those that it absorbed or of all, oldest first."""
    subjects = [None] if incident is None else [incident.id, *incident.merged]
    found = [
        msgspec.json.decode(payload, type=Read)
        for kind in ("read", "export")
        for subject in subjects
        for payload in store.log.payloads(kind, subject)
    ]
    return sorted(found, key=lambda read: read.at_ms)


def hold_words(one: Hold) -> str:
    """A hold as people are told of it."""
    return f"{one.incident} is held by {one.by} since {iso(one.at_ms)}: {one.why} ({one.id})"
