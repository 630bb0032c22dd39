"""Erases one person on request (GDPR art. 17), and keeps the log verifiable.

A store, a person's canonical id, who asks and why come in; what named the person goes. Bodies of
entries are removed, their leaves stay; lines are removed; exposures, findings, incidents and
working state keep their counts under a name that leads to nobody. All of it stands in one
transaction with the entry that says so. What a legal hold covers, or an open case is about, is
refused whole (art. 17(3)(e)). The history's segments, and the bytes that freed pages still have,
are the caller's.
"""

import secrets
from collections.abc import Iterator

import msgspec

from evidence.custody import held_incidents, hold_words
from evidence.naming import Name
from evidence.store import EmbeddedStore
from records.event import Actor
from records.ids import digest
from records.incident import Incident

DONE = frozenset({"resolved", "closed"})
_SALT_BYTES = 16
_ENTERED_AGAIN = frozenset({"finding", "incident", "intent"})
"""What is about others too: it is entered once more without the person."""


class Refused(ValueError):
    """The person's data must stay for now; the words say why, and until when."""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, as its entry has it: whom, only those can tell who have the id already."""

    user: str
    """Salted digest of the id."""
    salt: str
    by: str
    why: str
    at_ms: int
    entries: int
    """Bodies of entries of the log."""
    lines: int
    exposures: int
    records: int
    """Findings and incidents that name the person no longer."""
    state: int
    """Rows of working state that do not."""
    history: int
    """Rows of the history, which the caller removed."""


class Found(msgspec.Struct, kw_only=True):
    """Where a store names a person."""

    events: set[str]
    """Of which they were the target, or who asked."""
    bodies: list[int]
    """Numbers of entries."""
    findings: list[str]
    incidents: list[str]
    state: list[tuple[str, str]]
    who: list[int]
    lines: int
    exposures: int
    actions: list[str]
    """Whose intent or receipt names them."""

    @property
    def is_empty(self) -> bool:
        """Whether the person is named nowhere."""
        return not (self.events or self.bodies or self.records or self.state or self.who)

    @property
    def records(self) -> int:
        """Findings and incidents."""
        return len(self.findings) + len(self.incidents)

    @property
    def counts(self) -> dict[str, int]:
        """As an `Erasure` has them."""
        return {
            "entries": len(self.bodies), "lines": self.lines, "exposures": self.exposures,
            "records": self.records, "state": len(self.state),
        }  # fmt: skip


def find(store: EmbeddedStore, user: str) -> Found:
    """Where a store names a person, by what was understood: an id inside another is none."""
    name = Name(user)
    who = [
        number
        for number, body in store.rows("finding a person", "SELECT id, body FROM who")
        if name.is_in(msgspec.msgpack.decode(body))
    ]
    asked = set(who)
    sql = "SELECT who, event, target, object FROM exposure"
    events: set[str] = set()
    exposures = 0
    for number, event, target, obj in store.rows("finding a person", sql):
        if number in asked or user in {target, obj}:
            exposures += 1
            events.add(event)
    events = set(store.with_halves(events))
    findings = list(_named(store, "finding", name))
    incidents = list(_named(store, "incident", name))
    related = {*findings, *incidents}
    bodies, actions = _bodies(store, name, events, related)
    about = [one.encode() for one in related]
    state = [
        (space, key)
        for space, key, value in store.rows(
            "finding a person", "SELECT space, key, value FROM state"
        )
        if _is_keyed(name, key)
        or name.is_in(_unpacked(value))
        # Prose, where it is about what names them; see `_bodies`.
        or (name.is_mentioned(_unpacked(value)) and any(one in value for one in about))
    ]
    return Found(
        events=events, bodies=bodies, findings=findings, incidents=incidents, state=state, who=who,
        lines=len(store.digests(events)), exposures=exposures, actions=actions,
    )  # fmt: skip


def _is_keyed(name: Name, key: str) -> bool:
    # Keys also count hours and the like: a number is an id only where it is all of the key.
    return name.is_in(key) or (not name.user.isdigit() and name.is_mentioned(key))


def _named(store: EmbeddedStore, table: str, name: Name) -> Iterator[str]:
    for number, body in store.rows("finding a person", f"SELECT id, body FROM {table}"):  # noqa: S608
        if name.is_in(msgspec.json.decode(body)):
            yield number


def _bodies(
    store: EmbeddedStore, name: Name, events: set[str], related: set[str]
) -> tuple[list[int], list[str]]:
    """(entries that name the person, actions whose do).

    Prose counts only where it is about findings and incidents that name them: ids can be words.
    """
    found: list[int] = []
    actions: dict[str, bool] = {}
    sql = "SELECT seq, kind, subject, payload FROM body ORDER BY seq"
    for seq, kind, subject, payload in store.rows("finding a person", sql):
        document = msgspec.json.decode(payload)
        is_named = name.is_in(document)
        if kind == "captured":
            is_named = is_named or document["event"] in events
            if is_named:
                events.add(document["event"])
        elif kind == "finding" and not is_named:
            rests_on = {one["event"] for one in document["breachline"]["evidence"]}
            is_named = not rests_on.isdisjoint(events)
        elif kind == "intent":
            about = {document["incident"], *document["findings"]}
            if not about.isdisjoint(related):
                is_named = is_named or name.is_mentioned(document)
                actions.setdefault(subject, False)
        elif subject in related or subject in actions:
            is_named = is_named or name.is_mentioned(document)
        if is_named:
            found.append(seq)
            if kind in {"intent", "receipt"}:
                actions[subject] = True
    return found, [action for action, is_named in actions.items() if is_named]


def _unpacked(value: bytes) -> object:
    try:
        return msgspec.msgpack.decode(value)
    except msgspec.DecodeError:
        return None


def refusal(store: EmbeddedStore, user: str, found: Found) -> str:
    """Why the person's data must stay; "" where it need not."""
    for one, incident in held_incidents(store):
        if _concerns(store, incident, user, found):
            return (
                f"a legal hold covers it (GDPR art. 17(3)(e)): {hold_words(one)}; release it "
                f"first: breachline evidence release {incident.id}"
            )
    for incident in store.incidents():
        theirs = Actor("principal", user) in incident.actors or any(
            account.id == user for account in incident.actor_accounts
        )
        if theirs and incident.status not in DONE:
            return (
                f"they are an actor of {incident.id}, which is {incident.status}: what they did to "
                "others is evidence (GDPR art. 17(3)(e)); erase when it is resolved"
            )
    for action in found.actions:
        row = store.outbox_row(action)
        if row is not None and row.state != "done":
            return (
                f"{action} names them and is not over ({row.reason or 'it is due'}): without its "
                "intent it could not be undone; erase when it is"
            )
    return ""


def _concerns(store: EmbeddedStore, incident: Incident, user: str, found: Found) -> bool:
    """Whether what an incident rests on names a person."""
    if incident.id in found.incidents or not set(incident.findings).isdisjoint(found.findings):
        return True
    names = (incident.id, *incident.merged)
    if any(one.event in found.events for name in names for one in store.log.captured(name)):
        return True
    theirs = store.exposures_of(incident.actors, 0, 1 << 62)
    return any(user in {exposure.target, exposure.object} for exposure in theirs)


def erase(
    store: EmbeddedStore, user: str, *, by: str, why: str, at_ms: int, history: int = 0
) -> Erasure:
    """Erase a person in one transaction; what it came to, as the log has it.

    Raises:
        Refused: a hold, an open case or an action under way stands against it.
        ValueError: no reason is given, or the id is none that can be looked for.
    """
    if not why.strip():
        raise ValueError("erasing a person: give a reason: the log must say why something is gone")
    with store.transaction():
        found = find(store, user)
        if refused := refusal(store, user, found):
            raise Refused(f"erasing a person: {refused}")
        salt = secrets.token_hex(_SALT_BYTES)
        done = Erasure(
            user=digest(salt, user, length=64), salt=salt, by=by, why=why, at_ms=at_ms,
            history=history, **found.counts,
        )  # fmt: skip
        name = "era-" + digest(done.user, at_ms)
        because = store.log.append("erasure", name, at_ms, "erasure", msgspec.to_builtins(done))
        named, instead = Name(user), f"erased-{secrets.token_hex(8)}"
        _remove(store, named, found, because, at_ms, instead)
        _rename(store, named, found, instead)
    return done


def _remove(
    store: EmbeddedStore, name: Name, found: Found, because: int, at_ms: int, instead: str
) -> None:
    gone = set(found.bodies)
    sql = "SELECT seq, entry_id, body.kind, subject, payload FROM body JOIN log USING (seq) "
    sql += "ORDER BY seq"
    again = [
        (kind, f"{entry_id}~{because}", subject, msgspec.json.decode(payload))
        for seq, entry_id, kind, subject, payload in store.rows("erasing a person", sql)
        if seq in gone and kind in _ENTERED_AGAIN
    ]
    with store.writing("erasing a person") as db:
        # First the word, then the deed: the trigger lets nothing else go.
        db.executemany("INSERT INTO erased VALUES (?, ?)", ((seq, because) for seq in found.bodies))
        db.executemany("DELETE FROM body WHERE seq = ?", ((seq,) for seq in found.bodies))
        db.executemany(
            "DELETE FROM line WHERE event = ?", ((event,) for event in sorted(found.events))
        )
    for kind, entry_id, subject, document in again:
        store.log.append(kind, entry_id, at_ms, subject, name.replaced(document, instead))


def _rename(store: EmbeddedStore, name: Name, found: Found, instead: str) -> None:
    """Let what must keep its count lead to nobody."""
    user = name.user
    # Read before writing: rows must not change under the cursor that gives them.
    asked, states = set(found.who), set(found.state)
    who = [
        row
        for row in store.rows("erasing a person", "SELECT id, actor, body FROM who")
        if row[0] in asked
    ]
    state = [
        (space, key, value)
        for space, key, value in store.rows(
            "erasing a person", "SELECT space, key, value FROM state"
        )
        if (space, key) in states
    ]
    actors = [
        row
        for row in store.rows("erasing a person", "SELECT actor, keeper FROM kept_actor")
        if name.is_in(row[0])
    ]
    outbox = [
        (name.replaced(row.reason, instead), row.action)
        for row in store.outbox_all()
        if row.action in found.actions
    ]
    with store.writing("erasing a person") as db:
        for column in ("target", "object"):
            db.execute(
                f"UPDATE exposure SET {column} = ? WHERE {column} = ?",  # noqa: S608
                (instead, user),
            )
        for number, actor, body in who:
            changed = msgspec.msgpack.encode(name.replaced(msgspec.msgpack.decode(body), instead))
            db.execute(
                "UPDATE who SET actor = ?, body = ? WHERE id = ?",
                (name.replaced(actor, instead), changed, number),
            )
        for table, ids in (("finding", found.findings), ("incident", found.incidents)):
            for number in ids:
                sql = f"SELECT body FROM {table} WHERE id = ?"  # noqa: S608
                body = store.row("erasing a person", sql, (number,))
                assert body is not None  # noqa: S101  it was found in this transaction
                changed = msgspec.json.encode(name.replaced(msgspec.json.decode(body[0]), instead))
                db.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (changed, number))  # noqa: S608
        for actor, keeper in actors:
            db.execute(
                "UPDATE kept_actor SET actor = ? WHERE actor = ? AND keeper = ?",
                (name.replaced(actor, instead), actor, keeper),
            )
        db.executemany("UPDATE outbox SET reason = ? WHERE action = ?", outbox)
        for space, key, value in state:
            db.execute("DELETE FROM state WHERE space = ? AND key = ?", (space, key))
            unpacked = _unpacked(value)
            changed = (
                value
                if unpacked is None
                else msgspec.msgpack.encode(name.replaced(unpacked, instead))
            )
            moved = name.replaced(key, instead) if _is_keyed(name, key) else key
            db.execute("INSERT INTO state VALUES (?, ?, ?)", (space, moved, changed))
    store.forget_rows()


def erasures(store: EmbeddedStore) -> list[Erasure]:
    """Every erasure, oldest first."""
    return [msgspec.json.decode(payload, type=Erasure) for payload in store.log.payloads("erasure")]
