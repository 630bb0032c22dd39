"""What holds for any line, any split and any order: no log line can break intake."""

import json
import time
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._base import discover
from intake.formats._wrapped import WRAPPERS, layers
from intake.frames import LATENESS_MS, Reader, SourceState, Watermark
from intake.identity import Credentials
from intake.judge import Judge
from intake.line import Parsed, Unreadable
from intake.ownership import Grant, Tables
from intake.promotion import CELL_MS, Promotion
from intake.routes import Routes
from intake.spaces import canonical_id, id_space, spelled
from intake.spelling import canonical_path
from tests.intake._lines import AT, digest, settings

CONFIGURED = {
    "trusted_proxies": ["10.0.0.0/8"],
    "routes": [
        {"match": "/api/wallets/{owner}/**", "category": "financial"},
        {"match": "/t/{tenant}/users/{owner}"},
        {"match": "/search?user={owner}"},
    ],
    "ownership": [{"route": "/orders/{object}"}, {"route": "/notes/{object}/**", "learn": True}],
    "service_accounts": [{"id": "batch", "from": ["198.18.0.0/15"], "routes": ["/api/**"]}],
    "delegates": ["support-*"],
}
TABLES = Tables(
    people={"17": "p-17", "a@example.com": "p-17"},
    owners={"/orders/{object}": {"5": ("17", "18")}},
    grants=[Grant("19", "*", "/**", AT, None)],
)

WORDS = st.sampled_from(
    "users profiles orders wallets me 17 018 18 u-18 18,19 %2f %31%38 .. . ;x=1 18.json api t v1 "
    "alice a@example.com 550e8400-e29b-41d4-a716-446655440000 eyJhbGciOiJub25lIn0.eyJzdWIiOjF9. "
    "% \\xff \u0661 graphql deposits search".split()
)
PATHS = st.lists(WORDS | st.text(max_size=8), max_size=6).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.lists(
    st.tuples(st.sampled_from("id ids[] user_id uid page filter[user_id] user".split()), WORDS),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
TARGETS = st.text(max_size=30) | st.builds(lambda p, q: f"{p}?{q}" if q else p, PATHS, QUERIES)
USERS = st.sampled_from(["17", "018", "u-17", "alice", "batch", "support-1", ",", "-", " "])
TEXTS = st.none() | USERS | st.text(max_size=20)
ADDRESSES = st.sampled_from(
    ["192.0.2.7", "2001:db8::7", "10.0.0.1", "unix:", "proxy.example", "fe80::1%eth0", "[::1"]
)

LINES = st.builds(
    Parsed,
    time_ms=st.integers(-(2**40), 2**42),
    peer=ADDRESSES | st.text(max_size=10),
    method=st.sampled_from(["GET", "get", "POST", "HEAD", "OPTIONS", "DELETE", "", "\u00df"]),
    target=TARGETS,
    status=st.sampled_from([0, 200, 204, 302, 401, 403, 404, 500, 999]),
    bytes=st.integers(-1, 2**40),
    forwarded=st.none() | st.text(max_size=20) | st.just("198.51.100.1, 10.0.0.2"),
    host=TEXTS,
    user_agent=TEXTS,
    request_id=TEXTS,
    principal=TEXTS,
    asserted=TEXTS,
    basic_user=st.booleans(),
    claimed=TEXTS,
    session=TEXTS,
    authorization=TEXTS | st.just("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxNyIsInNpZCI6IjEifQ."),
    jwt_payload=TEXTS | st.just('{"sub":"18"}'),
    owners=st.lists(USERS | st.text(max_size=5), max_size=3).map(tuple),
    tenant=TEXTS,
    origin=TEXTS | st.sampled_from(["http://[", "https://evil.example", "null"]),
    fetch_site=TEXTS | st.just("cross-site"),
    override_method=TEXTS | st.just("DELETE"),
)


def judges():
    yield Judge(settings(), (), Tables(), digest)
    yield Judge(settings(**CONFIGURED), ("u-18", "5"), TABLES, digest)
    yield Judge(settings(trust={"principal": "gateway"}), (), Tables(), digest)


@given(st.lists(LINES, max_size=8), st.booleans())
def test_any_line_is_an_event_or_unreadable(lines, late):
    for judge in judges():
        credentials = Credentials()
        for offset, line in enumerate(lines):
            try:
                event, signal, exposures = judge.judge(line, "s", offset, credentials, late=late)
            except Unreadable as why:
                assert why.reason == "no_address"  # noqa: PT017  the only one that judge raises
                continue
            assert list(event.targets) == sorted({*event.targets})
            assert (event.authentication == "known") == bool(event.principal)
            assert bool(event.principal) == bool(event.provenance)
            if signal is None:
                assert exposures == []
                assert event.verdict != "foreign" or event.allowed or event.outcome == "ignored"
                continue
            assert signal.verdict != "foreign" or signal.targets
            assert event.principal not in signal.targets or signal.verdict != "foreign"
            assert {e.target for e in exposures} <= {*signal.targets, ""}
            json.dumps([event.path, event.route, event.object, *event.targets])


@given(st.text(alphabet="/.%;25fFeE3bB\\ax?", max_size=40) | PATHS)
def test_a_canonical_path_is_canonical(path):
    once = canonical_path(path)
    assert canonical_path(once) == once


@given(st.text(max_size=50) | st.text(alphabet="0123456789+-{}aAfF \"'@.", max_size=40) | USERS)
def test_a_canonical_id_is_canonical(value):
    once = canonical_id(value)
    assert canonical_id(once) == once
    for space in ("integer", "uuid", "hex", "email", "name", "prefix:u-", id_space(once)):
        assert spelled(spelled(once, space), space) == spelled(once, space)


@given(st.lists(PATHS, min_size=1, max_size=12))
def test_what_was_asked_before_does_not_change_a_place(paths):
    configured = settings(**CONFIGURED)
    for rules, sources in (([], []), (configured.routes, [s.route for s in configured.ownership])):
        warm = Routes(rules, [], sources)
        for path in [*paths, *paths]:
            cold = Routes(rules, [], sources)
            cold._shapes = None
            assert warm.place(path) == cold.place(path)


@st.composite
def logs(draw):
    """Lines of one log by time, mostly good, some repeated, blank or broken."""
    lines, second = [], 0
    for number in range(draw(st.integers(1, 25))):
        second += draw(st.integers(0, 90))
        user = draw(st.sampled_from(["17", "18", "19", None]))
        line = {
            "time": f"2026-11-22T10:{second // 60 % 60:02d}:{second % 60:02d}Z",
            "remote_addr": "192.0.2.7",
            "request": f"GET {draw(PATHS)} HTTP/1.1",
            "status": draw(st.sampled_from([200, 403, 401])),
            "request_id": draw(st.sampled_from([None, "r1", f"r{number}"])),
            "session_id": draw(st.sampled_from([None, "s1"])),
            "http_x_user_id": draw(st.sampled_from([None, "18"])),
        }
        if user:
            line["user_id"] = user
        lines.append(draw(st.sampled_from([json.dumps(line)] * 6 + ["", "what?", '{"a":1}'])))
    return [line.encode() + b"\n" for line in lines]


def read(lines, cuts, format_="json"):
    """What frames of these lines come to, cut before the lines numbered in `cuts`."""
    configured = settings(trust={"principal": "gateway"})
    reader = Reader(configured, Judge(configured, (), Tables(), digest), format_)
    state = SourceState("s", "log")
    reader.begin(state, b"".join(lines).split(b"\n"))
    found, offset = [], 0
    for start, end in pairwise([0, *sorted({c % len(lines) for c in cuts} - {0}), len(lines)]):
        data = b"".join(lines[start:end])
        batch = reader.read(state, offset, data)
        assert batch.lines == len(batch.events) + len(batch.rejects) + batch.duplicate
        assert batch.late == sum(event.late for event in batch.events)
        offset += len(data)
        found.append(batch)
    return found


def joined(batches):
    return [
        [item for batch in batches for item in getattr(batch, name)]
        for name in ("events", "signals", "exposures", "raw", "rejects")
    ] + [sum(getattr(batch, name) for batch in batches) for name in ("lines", "duplicate", "late")]


ATTACKS = (
    b'"', b"\\", b'\\"', b'" "', b" ", b"- ", b"{", b"[", b"[[]", b",", b"7", b"a=", b'a="', b": ",
    b"\\x22", b'"a":', b'{"a":', b"%25", b"#22", b"192.0.2.7, ", b"\t", b"\xc3", b'[a b=""]',
)  # fmt: skip
GOLDEN = Path(__file__).parents[1] / "golden" / "intake"
SMALL, LARGE, SLACK = 1 << 18, 1 << 20, 3
_ROUNDS, _NOISE_S = 8, 0.02


def attacked(line, unit, size):
    """A line of so many bytes, half way through which a client wrote one thing for ever."""
    half = len(line) // 2
    return line[:half] + unit * (size // len(unit)) + line[half:]


def cpu_s(function, line):
    started = time.process_time()
    with suppress(Unreadable):
        function(line)
    return time.process_time() - started


def grows_linearly(function, line, unit):
    """Whether four times the bytes cost about four times as much, in the best of several tries."""
    large, small = attacked(line, unit, LARGE), attacked(line, unit, SMALL)
    best_large = best_small = float("inf")
    for _ in range(_ROUNDS):
        best_small = min(best_small, cpu_s(function, small))
        best_large = min(best_large, cpu_s(function, large))
        if best_large <= best_small * (LARGE // SMALL) * SLACK + _NOISE_S:
            return True
    return False


@pytest.mark.parametrize("name", sorted(discover()))
def test_what_a_line_costs_grows_as_the_line_does(name):
    (example, *_) = sorted((GOLDEN / name).glob("*.log"))
    line = max(example.read_bytes().split(b"\n"), key=len)
    parse = discover()[name].parser(settings())
    assert [unit for unit in ATTACKS if not grows_linearly(parse, line, unit)] == []


def test_what_grows_faster_is_seen():
    def squared(line):
        return sum(line.count(b"xy", at) for at in range(0, len(line), 2048))

    assert not grows_linearly(squared, b"", b"a")


def test_what_unwrapping_costs_grows_as_the_line_does():
    functions = [*WRAPPERS.values(), lambda line: list(layers(line))]
    assert [
        (carrier, unit)
        for carrier in CARRIED
        for unit in ATTACKS
        for unwrap in functions
        if not grows_linearly(unwrap, carrier.replace(b"%s", b"%s" * 2) % (b"a", b"b"), unit)
    ] == []


@given(logs(), st.lists(st.integers(0, 100), max_size=8))
def test_any_split_into_frames_gives_the_same(lines, cuts):
    assert joined(read(lines, cuts)) == joined(read(lines, ()))


NGINX = b'192.0.2.7 - 17 [22/Nov/2026:10:00:00 +0000] "GET /users/18 HTTP/1.1" 200 5 "-" "curl/8"'


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 3, 21, 40])), max_size=4),
    logs(),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_any_split_gives_the_same_where_formats_change(runs, records, cuts):
    kinds = [
        [line.rstrip(b"\n") for line in records],
        [NGINX],
        [b"2026-11-22T10:00:00Z stdout F " + NGINX, b"2026-11-22T10:00:00Z stderr P {"],
        [b"INFO ready", b'{"level":"info"}'],
    ]
    lines = [
        kinds[kind][n % len(kinds[kind])] + b"\n" for kind, count in runs for n in range(count)
    ]
    lines += records
    assert joined(read(lines, cuts, "auto")) == joined(read(lines, (), "auto"))


@cache
def reader(name):
    """A reader of any number of sources."""
    return Reader(settings(), Judge(settings(), (), Tables(), digest), name)


CARRIED = (
    b"%s",
    b"2026-11-22T10:00:00Z stdout F %s",
    b"2026-11-22T10:00:00Z stdout P %s",
    b"<134>Nov 22 10:00:00 web nginx[7]: %s",
    b"<134>1 2026-11-22T10:00:00Z web nginx 7 - - %s",
    b'{"log":"%s\\n","stream":"stdout","time":"2026-11-22T10:00:00Z"}',
    b'{"message":"%s"}',
)
BYTES = st.builds(
    lambda carrier, inner, end: carrier % inner + end,
    st.sampled_from(CARRIED),
    st.binary(max_size=60) | st.sampled_from([b"{}", b"null", b"\0" * 9, b"#Fields: date time"]),
    st.sampled_from([b"", b"\r"]),
)


@given(st.lists(BYTES, max_size=6))
def test_any_bytes_are_counted(lines):
    data = b"".join(line + b"\n" for line in lines)
    for name in (*sorted(discover()), "auto"):
        state = SourceState("s", "log")
        batch = reader(name).read(state, 0, data)
        assert batch.lines == len(batch.events) + len(batch.rejects) + batch.duplicate
        assert batch.lines == sum(bool(line.strip()) for line in data.split(b"\n"))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=SourceState) == state


@given(st.lists(st.integers(0, 5_000), min_size=2, max_size=30), st.data())
def test_one_wild_line_never_moves_the_watermark(gaps_ms, data):
    times, now = [], AT
    for gap_ms in gaps_ms:
        now += gap_ms
        times.append(now)
    at = data.draw(st.integers(0, len(times)))
    wild = data.draw(st.integers(now + LATENESS_MS + 1, 2**43))
    mark = Watermark()
    for time_ms in [*times[:at], wild, *times[at:]]:
        if time_ms > mark.max_ms:
            mark.advance(time_ms)
        assert mark.max_ms <= now


VOTES = st.lists(
    st.tuples(st.integers(0, 4 * CELL_MS), st.integers(0, 30), st.integers(0, 9)),
    min_size=60,
    max_size=120,
)


def verdicts(order):
    promotion = Promotion()
    found = {}
    for number, (time_ms, user, luck) in order:
        found[number] = promotion.is_owner_field("f", time_ms)
        promotion.note("f", f"u-{user}", own=luck > 0, time_ms=time_ms)
    return found


@given(VOTES, st.randoms(use_true_random=False))
def test_promotion_does_not_depend_on_order_within_the_lateness(votes, random):
    events = sorted(enumerate(sorted(votes)), key=lambda event: event[1][0])
    arrivals = sorted(events, key=lambda event: event[1][0] + random.randrange(LATENESS_MS))
    assert verdicts(arrivals) == verdicts(events)
