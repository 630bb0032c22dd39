"""Lines of two logs through one reader: what waits, what is counted, what is evidence."""

import hashlib
import json
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from random import Random

from benchmarks.join import frames
from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.ownership import Tables
from records.event import RawLine
from tests.intake._lines import AT, digest, settings

JOIN = {"gateway": ["gateway.log"], "service": ["service.log"]}
COUNTS = ("lines", "joined", "duplicate")


def at_gateway(request="r1", path="/orders/9", at_s=0.0, **said):
    """A gateway that names nobody."""
    usual = {
        "time": AT / 1000 + at_s, "remote_addr": "203.0.113.7", "method": "GET", "path": path,
        "status": 200, "bytes": 512, "request_id": request,
    }  # fmt: skip
    return json.dumps(usual | said)


def at_service(request="r1", path="/orders/9", at_s=0.0, user="u-17", owner="u-18", **said):
    """A service that names no client."""
    when = datetime.fromtimestamp(AT / 1000 + at_s, UTC).isoformat()
    usual = {
        "@timestamp": when, "url": {"path": path}, "user": {"id": user},
        "http": {"request": {"method": "GET", "id": request}, "response": {"status_code": 200}},
        "labels": {"resource_owner": owner},
    }  # fmt: skip
    return json.dumps(usual | said)


class Deployment:
    """Two logs and their reader."""

    def __init__(self, *, tracking=False, joins=True, store=None, **intake):
        self.made = settings(**{"join": JOIN, **intake})
        self.tracking, self.joins = tracking, joins
        self.states = {n: SourceState(n, f"{n}.log") for n in ("gateway", "service", "other")}
        self.offsets = dict.fromkeys(self.states, 0)
        self.start()

    def start(self):
        judge = Judge(self.made, [], Tables(), digest)
        self.reader = Reader(self.made, judge, tracking=self.tracking, joins=self.joins)

    def read(self, name, *lines):
        data = "".join(f"{line}\n" for line in lines).encode()
        batch = self.reader.read(self.states[name], self.offsets[name], data)
        self.offsets[name] += len(data)
        return batch

    def gateway(self, *lines):
        return self.read("gateway", *lines)

    def service(self, *lines):
        return self.read("service", *lines)


def counts(batch):
    return batch.lines, len(batch.events), len(batch.rejects), batch.duplicate, batch.joined


def test_a_line_counts_with_its_event():
    both = Deployment()
    assert counts(both.gateway(at_gateway())) == (0, 0, 0, 0, 0)
    batch = both.service(at_service(at_s=2.5))
    assert counts(batch) == (2, 1, 0, 1, 1)
    assert batch.unmatched == {}
    assert counts(both.reader.settle()) == (0, 0, 0, 0, 0)


def test_the_event_is_the_gateways_with_what_the_service_knows():
    both = Deployment()
    both.gateway(at_gateway(user_agent="curl/8"))
    batch = both.service(at_service(at_s=2.5, user="u-17", owner="u-18"))
    (event,) = batch.events
    assert (event.id, event.source, event.offset, event.time_ms) == ("gateway-0", "gateway", 0, AT)
    assert (event.ip, event.ip_trusted, event.user_agent) == ("203.0.113.7", True, "curl/8")
    assert (event.principal, event.provenance) == ("u-17", "gateway")
    assert (event.targets, event.basis, event.verdict) == (("u-18",), "owner_logged", "foreign")
    (signal,) = batch.signals
    assert (signal.event, signal.principal, signal.ip) == (event.id, "u-17", "203.0.113.7")
    (exposure,) = batch.exposures
    assert (exposure.event, exposure.target, exposure.certainty) == (event.id, "u-18", "proven")


def test_both_lines_are_evidence():
    both = Deployment()
    lines = at_gateway(), at_service()
    both.gateway(lines[0])
    batch = both.service(lines[1])
    assert batch.raw == [
        RawLine(event, hashlib.sha256(line.encode()).hexdigest(), line.encode(), False)
        for event, line in zip(("gateway-0", "service-0"), lines, strict=True)
    ]
    assert batch.halves == {"gateway-0": "service-0"}
    own = Deployment()
    own.gateway(lines[0])
    batch = own.service(at_service(user="u-18", owner="u-18"))
    assert (batch.raw, batch.halves) == ([], {})
    assert batch.own == {("203.0.113.7", "u-18"): AT}


def test_the_service_first():
    both = Deployment()
    both.service(at_service())
    (event,) = both.gateway(at_gateway()).events
    assert (event.id, event.principal, event.ip) == ("gateway-0", "u-17", "203.0.113.7")


def test_a_half_alone_is_judged_on_what_it_has():
    both = Deployment()
    both.service(at_service(path="/users/u-18/mail", owner=None))
    both.gateway(at_gateway("r2", "/users/u-19"))
    batch = both.reader.settle()
    assert counts(batch) == (2, 2, 0, 0, 0)
    assert batch.unmatched == {"gateway": 1, "service": 1}
    service, gateway = batch.events
    assert (service.ip, service.principal, service.verdict) == ("", "u-17", "foreign")
    assert (gateway.ip, gateway.principal, gateway.verdict) == ("203.0.113.7", "", "undetermined")
    assert [signal.event for signal in batch.signals] == ["service-0", "gateway-0"]
    assert batch.source == "service"


def test_a_services_peer_is_never_blocked():
    both = Deployment()
    both.service(at_service(source={"ip": "10.0.0.2"}))
    (event,) = both.reader.settle().events
    assert (event.ip, event.ip_trusted) == ("10.0.0.2", False)


def test_a_line_that_nobody_answers_for_is_a_reject():
    both = Deployment()
    line = at_service(user=None)
    both.service(line)
    batch = both.reader.settle()
    assert counts(batch) == (1, 0, 1, 0, 0)
    (reject,) = batch.rejects
    assert (reject.source, reject.offset, reject.reason) == ("service", 0, "no_address")
    assert (reject.sha256, reject.line) == (hashlib.sha256(line.encode()).hexdigest(), line)


def test_secrets_are_masked_in_both_lines():
    both = Deployment()
    both.gateway(at_gateway(session="s3cr3t-of-gateway"))
    batch = both.service(at_service(session={"id": "s3cr3t-of-service"}))
    assert b"s3cr3t" not in b"".join(line.data for line in batch.raw)
    assert [line.masked for line in batch.raw] == [True, True]
    assert batch.events[0].session == digest("s3cr3t-of-service")


def test_other_logs_are_read_as_ever():
    both = Deployment()
    batch = both.read("other", at_gateway(), "what?")
    assert counts(batch) == (2, 1, 1, 0, 0)
    assert batch.unmatched == {}


def test_without_joining_each_line_is_judged_at_once():
    apart = Deployment(joins=False)
    assert counts(apart.gateway(at_gateway())) == (1, 1, 0, 0, 0)
    assert counts(apart.service(at_service())) == (1, 1, 0, 0, 0)


def test_the_same_line_twice_is_a_duplicate_as_ever():
    both = Deployment()
    assert counts(both.gateway(at_gateway(), at_gateway())) == (1, 0, 0, 1, 0)
    assert counts(both.service(at_service())) == (2, 1, 0, 1, 1)
    both.offsets["gateway"] = 0
    assert counts(both.gateway(at_gateway())) == (1, 0, 0, 1, 0)


def test_what_waits_in_a_store_holds_no_secret():
    both = Deployment(tracking=True)
    both.gateway(
        at_gateway(
            path="/orders/9?token=s3cr3t-1",
            session="s3cr3t-2",
            http_authorization="Bearer s3cr3t-3",
            http_referer="https://app.example/?token=s3cr3t-4",
        )
    )
    kept = b"".join(value for _, _, value in both.reader.take_dirty())
    assert b"203.0.113.7" in kept
    assert b"s3cr3t" not in kept


def mixed(requests, seed):
    """Lines of both logs as they are read: (log, line); some are alone, some repeat an id."""
    rng = Random(seed)
    found = []
    for number in range(requests):
        at_s = number / 20
        request = f"r{rng.randrange(requests)}" if rng.random() < 0.1 else f"r{number}"
        path = f"/orders/{number % 40}"
        user, owner = f"u-{number % 7}", f"u-{number % 7 if rng.random() < 0.8 else 9}"
        session = {"session": f"secret-{user}"}
        if rng.random() < 0.95:
            line = at_gateway(request, path, at_s, **session)
            found.append((at_s + 5 * rng.random(), "gateway", line))
        if rng.random() < 0.9:
            line = at_service(request, path, at_s + 4 * rng.random(), user, owner)
            found.append((at_s + 5 * rng.random(), "service", line))
    return [(name, line) for _, name, line in sorted(found)]


def whole(batches):
    """All that came of batches: events, signals, exposures, raw lines, halves and counts."""
    return (
        [event for batch in batches for event in batch.events],
        [signal for batch in batches for signal in batch.signals],
        [exposure for batch in batches for exposure in batch.exposures],
        [line for batch in batches for line in batch.raw],
        {event: other for batch in batches for event, other in batch.halves.items()},
        [sum(getattr(batch, name) for batch in batches) for name in COUNTS],
    )


def test_a_kill_between_halves_loses_and_doubles_nothing():
    lines = mixed(400, seed=3)
    steady = Deployment()
    batches = [steady.read(name, line) for name, line in lines] + [steady.reader.settle()]
    expected = whole(batches)
    assert expected[-1][0] == len(lines)
    assert expected[-1][1] > 250

    killed, store = Deployment(tracking=True), {}
    found, rng = [], Random(5)
    uncommitted = []
    at = 0
    committed = (0, dict(killed.offsets))
    while at < len(lines):
        name, line = lines[at]
        uncommitted.append(killed.read(name, line))
        at += 1
        if rng.random() < 0.3:
            for space, key, value in [
                *killed.reader._judge.take_dirty(), *killed.reader.take_dirty()
            ]:  # fmt: skip
                store[space, key] = value
            found += uncommitted
            uncommitted = []
            committed = (at, dict(killed.offsets))
            marks = {name: state.position for name, state in killed.states.items()}
            watermark = killed.reader.watermark
            kept = watermark.max_ms, watermark.doubtful_ms, watermark.first_ms
        elif rng.random() < 0.2 and found:
            # What was not committed did not happen.
            uncommitted = []
            at, offsets = committed
            killed.offsets = dict(offsets)
            killed.start()

            def load(space):
                return ((k, v) for (s, k), v in sorted(store.items()) if s == space and v)

            killed.reader._judge.load(load)
            killed.reader.load(load)
            for name, position in marks.items():
                killed.states[name].position = position
            mark = killed.reader.watermark
            mark.max_ms, mark.doubtful_ms, mark.first_ms = kept
    assert whole([*found, *uncommitted, killed.reader.settle()]) == expected


def test_how_logs_are_cut_into_frames_changes_nothing():
    lines = mixed(300, seed=11)
    single, cut = Deployment(), Deployment()
    one_by_one = [single.read(name, line) for name, line in lines]
    in_frames = [
        cut.read(name, *(line for _, line in group))
        for name, group in groupby(lines, key=itemgetter(0))
    ]
    assert whole([*one_by_one, single.reader.settle()]) == whole([*in_frames, cut.reader.settle()])
    assert len(in_frames) < len(one_by_one)


def test_logs_that_have_request_ids_in_common():
    apart = Deployment(join=None)
    apart.gateway(*[at_gateway(f"r{n}") for n in range(20)])
    apart.read("other", *[at_gateway(f"x{n}") for n in range(20)])
    assert apart.reader.alike() == {}
    apart.service(*[at_gateway(f"r{n}") for n in range(0, 20, 2)], at_gateway("x3"))
    assert apart.reader.alike() == {("gateway", "service"): 10 / 11, ("other", "service"): 1 / 11}


def test_twenty_thousand_requests_with_skew():
    """The traffic of benchmarks.join."""
    made = settings(
        join=JOIN,
        log_format={
            "nginx": '$remote_addr - $remote_user [$time_local] "$request" $status '
            '$body_bytes_sent "$http_referer" "$http_user_agent" $request_id'
        },
    )
    reader = Reader(made, Judge(made, [], Tables(), digest))
    assert reader.joiner is not None
    states = {name: SourceState(name, name) for name in ("gateway.log", "service.log")}
    lines = joined = events = most = pairs = 0
    for name, part, pairs in frames(20_000, 1_000, seed=1):  # noqa: B007  the last one counts
        state = states[name]
        data = b"".join(line + b"\n" for line in part)
        batch = reader.read(state, state.position, data)
        lines, joined = lines + batch.lines, joined + batch.joined
        events += len(batch.events)
        most = max(most, reader.joiner.waiting)
    while (batch := reader.settle()).lines:
        lines, joined, events = (
            lines + batch.lines,
            joined + batch.joined,
            events + len(batch.events),
        )
    assert lines == 20_000 + pairs
    assert lines == events + joined
    assert joined >= 0.999 * pairs
    assert most < 20_000
