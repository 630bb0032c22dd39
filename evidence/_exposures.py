"""Exposures, the rows that the affected set is folded from, stored as fast as lines are parsed.

Exposures come in, exposures of given actors go out by (time, event). An event has one actor, so
that unique by (who, time, event, target, object) is unique by (event, target, object). It must
never drop or alter one: the list of people to notify rests on them.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter

import msgspec

from evidence._database import Database, chunks
from intake.addresses import beginnings, net_of
from records.event import Actor, Exposure
from records.kinds import ActorType, Basis, Certainty, Effect, Provenance, Verdict

_REMEMBERED = 200_000
_DOING = "storing exposures"
_ORDER = attrgetter("time_ms", "event", "target", "object")

_Who = tuple[ActorType, str, str, str, Provenance, str, str]
_What = tuple[str, str, Effect, Certainty, Basis, Verdict]
_encode = msgspec.msgpack.Encoder().encode
_who_of = msgspec.msgpack.Decoder(_Who).decode
_what_of = msgspec.msgpack.Decoder(_What).decode


class ExposureTables(Database):
    """The exposures of a store: implements records.stores.ExposureStore."""

    _who_ids: dict[bytes, int]
    _what_ids: dict[_What, int]
    _next_who: int
    _all_known: bool

    def _forget(self) -> None:
        super()._forget()
        self._who_ids, self._what_ids = {}, {}
        self._next_who, self._all_known = 0, False

    def _meta(self, key: str) -> int | None:
        row = self.row("reading the store", "SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else int(row[0])

    def _put_meta(self, **values: int) -> None:
        self._writer.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep exposures; those already kept, by (event, target, object), change nothing."""
        if not exposures:
            return
        with self.writing(_DOING) as db:
            if not self._next_who:
                self._next_who = self._meta("next_who") or 1
                self._all_known = self._next_who == 1
            before = self._next_who
            db.executemany(
                "INSERT OR IGNORE INTO exposure VALUES (?, ?, ?, ?, ?, ?)", self._split(exposures)
            )
            newest = max(x.time_ms for x in exposures)
            self._put_meta(newest_ms=max(newest, self._newest_ms()))
            if self._next_who != before:
                self._put_meta(next_who=self._next_who)

    def _newest_ms(self) -> int:
        newest = self._meta("newest_ms")
        return -(2**62) if newest is None else newest

    def _split(
        self, exposures: Sequence[Exposure]
    ) -> Iterator[tuple[int, int, str, str, str, int]]:
        """The rows of exposures, their who and what written before they are named."""
        encode = _encode
        known_who, known_what = self._who_ids.get, self._what_ids.get
        for x in exposures:
            actor = x.actor
            key = encode(
                (
                    actor.type,
                    actor.value,
                    x.session,
                    x.principal,
                    x.provenance,
                    x.ip,
                    x.fingerprint,
                )
            )
            who = known_who(key)
            if who is None:
                who = self._new_who(str(actor), key)
            facts = (x.route, x.category, x.effect, x.certainty, x.basis, x.verdict)
            what = known_what(facts)
            if what is None:
                what = self._new_what(facts)
            yield who, x.time_ms, x.event, x.target, x.object, what

    def _new_who(self, actor: str, key: bytes) -> int:
        if len(self._who_ids) >= _REMEMBERED:
            self._who_ids.clear()
            self._all_known = False
        row = None
        if not self._all_known:
            row = self._db.execute(
                "SELECT id FROM who WHERE actor = ? AND body = ?", (actor, key)
            ).fetchone()
        if row is None:
            row = (self._next_who,)
            self._next_who += 1
            self._writer.execute("INSERT INTO who VALUES (?, ?, ?)", (actor, key, row[0]))
        self._who_ids[key] = number = int(row[0])
        return number

    def _new_what(self, facts: _What) -> int:
        if len(self._what_ids) >= _REMEMBERED:
            self._what_ids.clear()
        key = _encode(facts)
        self._writer.execute("INSERT OR IGNORE INTO what (body) VALUES (?)", (key,))
        row = self._db.execute("SELECT id FROM what WHERE body = ?", (key,)).fetchone()
        self._what_ids[facts] = number = int(row[0])
        return number

    def exposures_of(
        self, actors: Iterable[Actor], since_ms: int, until_ms: int
    ) -> Iterator[Exposure]:
        """Exposures of these actors, since_ms <= time < until_ms, by (time, event).

        A /64 has those of its addresses.
        """
        wanted = list(actors)
        names = sorted({str(actor) for actor in wanted}.union(*map(self._within, wanted)))
        parts = [
            self._exposures(marks, [*part, since_ms, until_ms]) for marks, part in chunks(names)
        ]
        return merge(*parts, key=_ORDER)

    def _exposures(self, marks: str, values: Sequence[str | int]) -> Iterator[Exposure]:
        sql = (
            "SELECT x.time_ms, x.event, x.target, x.object, w.body, t.body FROM who w "  # noqa: S608
            "JOIN exposure x ON x.who = w.id JOIN what t ON t.id = x.what "
            f"WHERE w.actor IN ({marks}) AND x.time_ms >= ? AND x.time_ms < ? "
            "ORDER BY x.time_ms, x.event, x.target, x.object"
        )
        for time_ms, event, target, obj, who, what in self.rows("reading exposures", sql, values):
            kind, value, session, principal, provenance, ip, fingerprint = _who_of(who)
            route, category, effect, certainty, basis, verdict = _what_of(what)
            yield Exposure(
                event=event,
                time_ms=time_ms,
                actor=Actor(kind, value),
                session=session,
                principal=principal,
                provenance=provenance,
                ip=ip,
                fingerprint=fingerprint,
                target=target,
                object=obj,
                route=route,
                category=category,
                effect=effect,
                certainty=certainty,
                basis=basis,
                verdict=verdict,
            )

    def _within(self, actor: Actor) -> list[str]:
        """The names of the addresses in a /64 that have exposures."""
        if actor.type != "subnet" or ":" not in actor.value:
            return []
        sql = "SELECT DISTINCT actor FROM who WHERE actor >= ? AND actor < ?"
        found: list[str] = []
        for beginning in beginnings(actor.value):
            # Every beginning ends with a colon; what follows a colon is a semicolon.
            span = f"ip:{beginning}", f"ip:{beginning[:-1]};"
            found += [name for (name,) in self.rows("reading exposures", sql, span)]
        return [name for name in found if net_of(name.removeprefix("ip:")) == actor.value]

    def exposure_count(self) -> int:
        """How many exposures are kept."""
        row = self.row("counting exposures", "SELECT count(*) FROM exposure")
        return int(row[0]) if row else 0

    def _prune_exposures(self, before_ms: int) -> int:
        """Remove older ones of actors that no finding or incident names; their number."""
        sql = "SELECT DISTINCT actor FROM kept_actor WHERE actor LIKE 'subnet:%:%'"
        nets = [name for (name,) in self.rows("reading who is kept", sql)]
        within = [self._within(Actor("subnet", net.removeprefix("subnet:"))) for net in nets]
        with self.writing("removing old exposures") as db:
            gone = db.execute(
                "DELETE FROM exposure WHERE time_ms < ? AND who NOT IN (SELECT w.id FROM who w "
                "WHERE w.actor IN (SELECT actor FROM kept_actor) "
                "OR w.actor IN (SELECT value FROM json_each(?)))",
                (before_ms, msgspec.json.encode(sorted(set().union(*within))).decode()),
            ).rowcount
            if gone:
                db.execute("DELETE FROM who WHERE id NOT IN (SELECT who FROM exposure)")
                self._forget()
        return gone
