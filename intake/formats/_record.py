"""What a JSON record says, whatever its names: shapes are learned, lines then cost look-ups only.

A decoded record in, `Parsed` out; every JSON format reads through here. What a record means is
worked out once for each shape (the names in it) and kept as a plan. A record may hold anything:
nothing but `Unreadable` MUST leave `RecordReader.parser`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from intake.formats import _lenient
from intake.formats._base import (
    Parser,
    Timeless,
    unreadable,
)
from intake.formats._names import (
    WRAPPED,
    WRAPPERS,
    Names,
    containers,
    known_names,
    path_of,
)
from intake.formats._putters import Put, put_of
from intake.formats._values import (
    LONGEST_NOTHING,
    NOTHING,
    STATUSES,
    Imprecise,
    first_status,
    first_time,
    joined,
    last_status,
    request_of,
    scalar,
    size_of,
    text,
    with_query,
)
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from intake.times import parse_time

Record = dict[str, Any]
_Place = tuple[int, str]
"""Which of a record's objects, and the name in it."""
_Object = tuple[str, int, tuple[str, ...]]
"""Where an object stands (a path with its dot), what that adds to a rank, and its names."""
Finish = Callable[[Parsed, Record], None]
"""What a format adds to a line from its record; MUST raise nothing but `Unreadable`."""

CORE = ("peer", "method", "target", "request", "uri", "query", "status", "bytes")
"""What every line is made of: fields of `Parsed`, and the parts of a method and target."""
_STATUS = CORE.index("status")
_TEXTS = frozenset(
    """
    host user_agent referer request_id principal asserted claimed session jwt_payload tenant
    context_error origin fetch_site override_method location blocked_by
    """.split()
)
_SENT = frozenset({"body", "data", "payload"})
"""Beside a request's method and target, these hold what the client sent: nothing in it is known."""
_MAX_SHAPES = 4096
_MAX_NAMES = 256
_MAX_OBJECTS = 32


class Plan:
    """What is known of records that begin like this: the object to open next, or the fields."""

    __slots__ = (
        "absent", "core", "credential", "extra", "index", "name", "objects", "opened",
        "requested", "texts", "time", "times", "vouched", "waiting",
    )  # fmt: skip

    def __init__(self, objects: list[_Object], waiting: list[_Place]) -> None:
        self.objects = objects
        self.waiting = waiting
        self.index, self.name = waiting[0] if waiting else (-1, "")
        self.opened: dict[tuple[str, ...], Plan] = {}
        """By the names in the object, what follows."""
        self.absent: Plan | None = None
        """What follows where there is no object."""
        self.time: _Place | None = None
        self.times: list[_Place] = []
        """All places of a time, the best first; it is also in `time`."""
        self.core: list[tuple[int, int, str]] = []
        self.texts: list[tuple[str, int, str]] = []
        self.extra: list[tuple[Put, int, str]] = []
        self.requested = self.vouched = self.credential = False


class RecordReader:
    """Turns records into `Parsed` under one source's settings; learns shapes as they come."""

    def __init__(
        self,
        settings: IntakeSettings,
        special: Iterable[tuple[str, str]] = (),
        *,
        wrappers: bool = True,
        finish: Finish | None = None,
        query_apart: bool = False,
    ) -> None:
        """`finish`: what a format adds to lines; `query_apart`: targets may lack their query."""
        self._finishes = finish
        self._query_apart = query_apart
        self._names: Names = known_names(settings, special)
        self._containers = containers(self._names)
        self._principal_logged = settings.fields.principal is not None
        self._wrappers = WRAPPERS if wrappers else frozenset[str]()
        self.is_trusted = settings.trust.principal == "gateway"
        # Where logs are joined, the address may stand in the gateway's alone: `Judge` misses it.
        self._needs_address = settings.join is None
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._shapes = 0

    def parser(self) -> Parser:
        """A function from one line to its `Parsed`."""
        loads, finish = orjson.loads, self._finishes
        read = self.read if finish is None else self._reading(finish)

        def parse(line: bytes) -> Parsed:
            try:
                record = loads(line)
            except ValueError:
                record = _lenient.read(line)
            if record.__class__ is not dict:
                raise unreadable(line, "not_an_object")
            try:
                return read(record)
            except Imprecise:
                return read(_lenient.exact(line))

        return parse

    def _reading(self, finish: Finish) -> Callable[[Record], Parsed]:
        read = self.read

        def read_all(record: Record) -> Parsed:
            try:
                parsed = read(record)
            except Timeless as found:
                finish(found.parsed, record)
                raise
            finish(parsed, record)
            return parsed

        return read_all

    def read(self, record: Record) -> Parsed:
        """The line that a record stands for.

        Raises:
            Unreadable: no time, request or address in it, or a bad one.
            Imprecise: an id is a float too big to be exact.
        """
        names = tuple(record)
        plan = self._plans.get(names) or self._first(names)
        objects = [record]
        while (index := plan.index) >= 0:
            inner = objects[index][plan.name]
            if inner.__class__ is dict:
                objects.append(inner)
                names = tuple(inner)
                plan = plan.opened.get(names) or self._next(plan, names)
            else:
                plan = plan.absent or self._next(plan, None)
        found: list[Any] = [None] * len(CORE)
        for slot, index, name in plan.core:
            value = objects[index][name]
            if value.__class__ is str:
                if value and value != "-":
                    found[slot] = value
            elif value.__class__ is int or (
                value.__class__ is not dict
                and slot != _STATUS
                and (value := scalar(value)) is not None
            ):
                found[slot] = value
        peer, method, target, request, uri, query, status, size = found
        host = None
        if target.__class__ is not str or target[0] != "/":
            logged = method
            method, target, host = request_of(target, request, uri, query, plan.requested)
            method = logged or method
        if query is not None and self._query_apart:
            target = with_query(target, query)
        time_ms = 0
        if plan.time is not None:
            index, name = plan.time
            try:
                time_ms = parse_time(objects[index][name])
            except Unreadable:
                time_ms = first_time([objects[index][name] for index, name in plan.times])
        parsed = Parsed(
            time_ms,
            "" if peer is None else str(peer),
            "" if method is None else str(method).upper(),
            target,
            status
            if status.__class__ is int and 0 <= status < 1000
            else STATUSES.get(status) or self._status(plan, objects),
            size if size.__class__ is int and size >= 0 else size_of(size),
        )
        self.fill(parsed, plan, objects)
        if status is None and parsed.upstream_status is not None and not parsed.status:
            parsed.status = last_status(parsed.upstream_status)
        if host is not None:
            parsed.host = host
        named = parsed.forwarded or parsed.forwarded_elements or parsed.client
        if peer is None and not named and self._needs_address:
            raise Unreadable("no_address" if plan.time is not None else "no_time")
        if plan.time is None:
            raise Timeless(parsed)
        return parsed

    @staticmethod
    def _status(plan: Plan, objects: list[Record]) -> int:
        """The status of values that are not simply one."""
        return first_status(
            [objects[at][name] for slot, at, name in reversed(plan.core) if slot == _STATUS]
        )

    @staticmethod
    def fill(parsed: Parsed, plan: Plan, objects: list[Record]) -> None:
        """Put a record's texts, and what has its own way of being read, into a line."""
        for field, index, name in plan.texts:
            value = objects[index][name]
            if value.__class__ is str:
                if len(value) > LONGEST_NOTHING or value not in NOTHING:
                    setattr(parsed, field, value)
            elif value is not None:
                # A header that came twice says two things.
                value = joined(value, ",") if field == "claimed" else text(value)
                if value is not None:
                    setattr(parsed, field, value)
        if plan.credential:
            parsed.logs_principal = True
        for put, index, name in plan.extra:
            put(parsed, objects[index][name])
        if plan.vouched:
            parsed.logs_principal = True
        if parsed.principal is not None:
            # Somebody vouches for who it was: what else was said of it does not count.
            parsed.asserted = None
            parsed.basic_user = False

    def is_highest(self, path: str, field: str) -> bool:
        """Whether no other name comes before this one for its field."""
        ranks = [
            (rank, name) for name, found in self._names.items() for f, rank in found if f == field
        ]
        return bool(ranks) and min(ranks)[1] == path

    def opens(self, path: str) -> bool:
        """Whether known names may stand in an object at this path."""
        return path in self._containers or path in self._wrappers

    def _first(self, names: tuple[str, ...]) -> Plan:
        """The plan for records with these names."""
        plan = self.plan([("", 0, names)], self._to_open(0, "", names))
        if self.keep(names):
            self._plans[names] = plan
        return plan

    def _next(self, before: Plan, names: tuple[str, ...] | None) -> Plan:
        """The plan after `before` opened its object and found these names, or no object."""
        waiting = before.waiting[1:]
        if names is None:
            plan = before.absent = self.plan(before.objects, waiting)
            return plan
        outer, rank, _ = before.objects[before.index]
        inside = outer + path_of(before.name)
        if inside in self._containers:
            inside += "."
        else:
            inside, rank = "", rank + WRAPPED
        index = len(before.objects)
        if index < _MAX_OBJECTS:
            waiting += self._to_open(index, inside, names)
        plan = self.plan([*before.objects, (inside, rank, names)], waiting)
        if self.keep(names):
            before.opened[names] = plan
        return plan

    def names_of(self, _record: tuple[str, ...]) -> Names:
        """What names mean in records that have these outermost ones."""
        return self._names

    def keep(self, names: tuple[str, ...]) -> bool:
        """Clients can choose names (headers): what is remembered stays bounded."""
        if len(names) > _MAX_NAMES:
            return False
        self._shapes += 1
        if self._shapes > _MAX_SHAPES:
            self.forget()
            self._shapes = 1
        return True

    def forget(self) -> None:
        """Start to learn anew."""
        self._plans.clear()

    def _to_open(self, index: int, inside: str, names: tuple[str, ...]) -> list[_Place]:
        """Where objects may stand that hold known names."""
        meant = {
            field for name in names for field, _ in self._names.get(inside + path_of(name), ())
        }
        shut = _SENT if "method" in meant and ("target" in meant or "uri" in meant) else ()
        return [
            (index, name)
            for name in names
            if self.opens(path := inside + path_of(name)) and path not in shut
        ]

    def plan(self, objects: list[_Object], waiting: list[_Place]) -> Plan:
        """A plan for these objects, and those still to be opened."""
        plan = Plan(objects, waiting)
        if not waiting:
            self._finish(plan)
        return plan

    def _finish(self, plan: Plan) -> None:
        known = self.names_of(plan.objects[0][2])
        # What stands in an object says whether it is a place.
        full = {inside for inside, _, names in plan.objects if names}
        found = [
            (rank + extra, field, index, name)
            for index, (inside, extra, names) in enumerate(plan.objects)
            for name in names
            for path in (inside + path_of(name),)
            for field, rank in known.get(path, ())
            if field != "place" or f"{path}." not in full
        ]
        # Worst first, so that a better value is written over it. Times are tried best first.
        found.sort(key=lambda item: item[0], reverse=True)
        for _, field, index, name in found:
            self._plan_field(plan, field, index, name)
        plan.times.reverse()
        plan.time = plan.times[0] if plan.times else None
        plan.vouched = plan.vouched or self._principal_logged

    def _plan_field(self, plan: Plan, field: str, index: int, name: str) -> None:
        if field in {"asserted", "remote_user"} and self.is_trusted and not self._principal_logged:
            field = "principal"
            plan.vouched = True
        if field == "time_ms":
            plan.times.append((index, name))
        elif field in CORE:
            plan.core.append((CORE.index(field), index, name))
            plan.requested = plan.requested or field in {"target", "request", "uri"}
        elif field in _TEXTS:
            plan.texts.append((field, index, name))
        elif field == "place":
            plan.vouched = True
        else:
            plan.credential = plan.credential or field == "authorization"
            plan.extra.append((put_of(field), index, name))
