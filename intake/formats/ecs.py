"""Elastic Common Schema as NDJSON, nested or with dotted names, as gateways and Beats write it.

A line in, `Parsed` out. The names of ECS are here; `_record.py` reads them in any spelling. The
usual nesting has a straight path, several times as fast, which MUST give what `_record.py` gives
or nothing at all: it looks up the names that outrank all others, and checks the shape of the rest.
"""

import re
from collections.abc import Sequence

import orjson

from intake.formats._base import Parser
from intake.formats._names import path_of
from intake.formats._record import CORE, Plan, Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.formats._values import NOTHING, Imprecise
from intake.line import Parsed
from intake.settings import IntakeSettings, Join
from intake.times import parse_time

# ECS `user` is who the service authenticated; its presence says that the log names principals,
# unless all that it can hold is a name of Basic authentication (Elastic's apache, traefik).
# `host` is the machine that logged, `url.domain` the one that was asked.
NAMES = (
    ("timestamp", "time_ms"),
    ("source.ip", "peer"),
    ("client.ip", "peer"),
    ("source.address", "peer"),
    ("client.address", "peer"),
    ("network.forwardedip", "client"),
    ("http.request.method", "method"),
    ("url.original", "target"),
    ("url.path", "uri"),
    ("url.full", "uri"),
    ("url.query", "query"),
    ("http.response.statuscode", "status"),
    ("http.response.body.bytes", "bytes"),
    ("http.response.bytes", "bytes"),
    ("user", "place"),
    ("user.id", "place"),
    ("user.id", "principal"),
    ("user.name", "remote_user"),
    ("useragent.original", "user_agent"),
    ("http.request.id", "request_id"),
    ("http.request.referrer", "referer"),
    ("organization.id", "tenant"),
    ("session.id", "session"),
    ("url.domain", "host"),
    ("labels.resourceowner", "owners"),
    ("labels.securitycontexterror", "context_error"),
)
_MARKS = re.compile(
    rb'"(?:http|url|source|client|user_agent|ecs)(?:"\s*+:\s*+\{|\.[\w.@-]{1,100}+"\s*+:)'
)
_HIGHEST = (
    ("timestamp", "time_ms"),
    ("source.ip", "peer"),
    ("http.request.method", "method"),
    ("http.response.statuscode", "status"),
    ("http.response.body.bytes", "bytes"),
    ("url.path", "uri"),
    ("user.id", "principal"),
    ("useragent.original", "user_agent"),
    ("session.id", "session"),
)
"""What the straight path reads: nothing else may come before these."""
_STRAIGHT = frozenset({"http", "url", "user", "user_agent", "session", "source", "client"})
_UNUSUAL = frozenset({"target", "request", "query"})
_NESTED = frozenset({"http.request", "http.response", "http.request.headers"})
_ODD = (ValueError, LookupError, TypeError, AttributeError, Imprecise)
_NO_HEADERS: Record = {}
_PLACES = ("", "http.", "http.request.", "http.request.headers.", "url.")
_Shape = tuple[tuple[str, ...], ...]
_URL = _PLACES.index("url.")


_ADDRESSLESS = IntakeSettings(join=Join(gateway=[], service=[]))
"""Services often log no client: their records are ECS all the same."""


class _Branch:
    """Records with these names: which objects to check, and what each shape of them needs."""

    __slots__ = ("agent", "others", "outranked", "session", "shapes", "user")

    def __init__(self, names: tuple[str, ...], others: list[str]) -> None:
        self.user = "user" in names
        self.agent = "user_agent" in names
        self.session = "session" in names
        read = {"principal": self.user, "user_agent": self.agent, "session": self.session}
        self.outranked = {field for field, is_read in read.items() if is_read}
        self.others = others
        self.shapes: dict[_Shape, Plan] = {}


_NEW, _LONG = _Branch((), []), _Branch((), [])
_LONG_PLAN = Plan([], [])


class EcsReader(RecordReader):
    """Reads ECS records: the usual nesting straight, all others as any record."""

    def __init__(self, settings: IntakeSettings) -> None:
        super().__init__(settings, NAMES, wrappers=False, query_apart=True)
        self._branches: dict[tuple[str, ...], _Branch] = {}

    def forget(self) -> None:
        """See `RecordReader.forget`."""
        super().forget()
        self._branches.clear()

    def parser(self) -> Parser:
        """See `RecordReader.parser`."""
        long_way = super().parser()
        if not all(self.is_highest(path, field) for path, field in _HIGHEST):
            return long_way
        branches, trusted, fill = self._branches, self.is_trusted, self.fill
        loads, learn_names, learn_shape = orjson.loads, self._learn_names, self._learn_shape

        def parse(line: bytes) -> Parsed:
            try:
                record = loads(line)
                names = tuple(record)
                if (branch := branches.get(names, _NEW)) is _NEW:
                    branch = learn_names(names)
                if branch is _LONG:
                    return long_way(line)
                http, url = record["http"], record["url"]
                request, response = http["request"], http["response"]
                headers = request.get("headers", _NO_HEADERS)
                objects = [record, http, request, headers, url]
                shape: _Shape = (tuple(http), tuple(request), tuple(headers), tuple(url))
                if branch.others:
                    objects += [record[name] for name in branch.others]
                    shape += tuple([tuple(it) for it in objects[len(_PLACES) :]])
                if (plan := branch.shapes.get(shape)) is None:
                    plan = learn_shape(branch, names, shape)
                time_ms = parse_time(record["@timestamp"])
                peer, method = record["source"]["ip"], request["method"]
                whole = "original" in url
                target = url["original"] if whole else url["path"]
                status, size = response["status_code"], response["body"]["bytes"]
                if (
                    plan is _LONG_PLAN
                    or peer.__class__ is not str or len(peer) < 2
                    or target.__class__ is not str or target[0] != "/"
                    or status.__class__ is not int or not 0 <= status < 1000
                    or size.__class__ is not int or size < 0
                    or "headers" in response
                ):  # fmt: skip
                    return long_way(line)
                if (query := url.get("query")) not in {"", None} and not (whole and "?" in target):
                    if "?" in target or query == "-":
                        return long_way(line)
                    target = f"{target}?{query.removeprefix('?')}"
                parsed = Parsed(time_ms, peer, method.upper(), target, status, size)
                if branch.user:
                    user = record["user"]
                    principal = user["id"]
                    if principal.__class__ is str and principal not in NOTHING:
                        parsed.principal = principal
                    elif principal is not None or len(user) > 1 or trusted:
                        return long_way(line)
                if branch.agent:
                    agent = parsed.user_agent = record["user_agent"]["original"]
                    if agent.__class__ is not str or agent in NOTHING:
                        return long_way(line)
                if branch.session:
                    session = parsed.session = record["session"]["id"]
                    if session.__class__ is not str or session in NOTHING:
                        return long_way(line)
                fill(parsed, plan, objects)
            except _ODD:
                # Another nesting, other types: what it is, the long way finds out.
                return long_way(line)
            return parsed

        return parse

    def _learn_names(self, names: tuple[str, ...]) -> _Branch:
        """What records with these names need, kept; `_LONG` if they cannot go straight."""
        opened = [name for name in names if self.opens(path_of(name))]
        others = [name for name in opened if name not in _STRAIGHT]
        times = [name for name in names if path_of(name) == "timestamp"]
        straight = {path_of(name) for name in _STRAIGHT}
        usual = times == ["@timestamp"] and not straight & {path_of(name) for name in others}
        branch = _Branch(names, others) if usual else _LONG
        if self.keep(names):
            self._branches[names] = branch
        return branch

    def _learn_shape(self, branch: _Branch, names: tuple[str, ...], shape: _Shape) -> Plan:
        """What objects of this shape need beyond what is read straight, kept; else `_LONG_PLAN`."""
        places = [*_PLACES, *(path_of(name) + "." for name in branch.others)]
        objects = [
            (inside, 0, inner) for inside, inner in zip(places, (names, *shape), strict=True)
        ]
        plan = self.plan(objects, [])
        outranked = branch.outranked
        plan.texts = [item for item in plan.texts if item[0] not in outranked]
        nested = {
            inside + name
            for inside, _, inner in objects[1:]
            for name in inner
            if self.opens(inside + path_of(name))
        }
        usual = {(_URL, "query"), (_URL, "original")}
        unusual = any(
            CORE[slot] in _UNUSUAL and (index, name) not in usual for slot, index, name in plan.core
        )
        if unusual or nested - _NESTED:
            plan = _LONG_PLAN
        if self.keep(tuple(name for inner in shape for name in inner)):
            branch.shapes[shape] = plan
        return plan


def _addressless(_settings: IntakeSettings) -> Parser:
    """A parser that also takes lines without an address: they are no less ECS."""
    return EcsReader(_ADDRESSLESS).parser()


class Ecs:
    """The format of Elastic Common Schema records."""

    name = "ecs"
    examples = (
        (
            b'{"@timestamp":"2026-11-22T10:00:00.123Z","source":{"ip":"203.0.113.7"},"user":{"i'
            b'd":"u-17"},"http":{"request":{"method":"GET","headers":{"x-user-id":"u-17"}},"res'
            b'ponse":{"status_code":200,"body":{"bytes":512}}},"url":{"path":"/api/wallets/u-17'
            b'"},"user_agent":{"original":"okhttp/4.12.0"},"session":{"id":"s-4f"}}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that also has the objects of ECS."""
        return marked_share(lines, _MARKS.search, _addressless)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        return EcsReader(settings).parser()


FORMAT = Ecs()
