import hashlib
import json

import msgspec
import pytest

from intake.detection import SURE
from intake.frames import LATENESS_MS, Reader, SourceState, Watermark, raw_line
from intake.judge import Judge
from intake.ownership import Tables
from records.event import RawLine, Reject
from tests.intake._lines import AT, digest, settings

TIME = "22/Nov/2026:10:{:02d}:{:02d} +0000"


def nginx(target="/users/18", second=0, ip="192.0.2.7", status=200, user="-", agent="curl/8"):
    minute, second = divmod(second, 60)
    return (
        f'{ip} - {user} [{TIME.format(minute, second)}] "GET {target} HTTP/1.1" '
        f'{status} 512 "-" "{agent}"'
    )


def record(**fields):
    usual = {"time": "2026-11-22T10:00:00Z", "remote_addr": "192.0.2.7",
             "request": "GET /users/18 HTTP/1.1", "status": 200}  # fmt: skip
    return json.dumps(usual | fields)


class Log:
    """One source, read in frames."""

    def __init__(self, forced_format="auto", **intake):
        made = settings(**intake)
        judge = Judge(made, [], Tables(), digest)
        self.reader = Reader(made, judge, forced_format)
        self.state = SourceState("src", "access.log")
        self.offset = 0

    def read(self, *lines, end=b"\n"):
        data = b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines) + end
        batch = self.reader.read(self.state, self.offset, data)
        self.offset += len(data)
        return batch


def counts(batch):
    return (batch.lines, len(batch.events), len(batch.rejects), batch.duplicate, batch.late)


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("two lines", [nginx(), nginx()], (2, 2, 0, 0, 0)),
        ("blank lines are no lines", [nginx(), "", "  ", "\r", nginx()], (2, 2, 0, 0, 0)),
        ("a line that is none", [nginx(), "what?", nginx()], (3, 2, 1, 0, 0)),
        ("nothing", [""], (0, 0, 0, 0, 0)),
        ("not a log at all", ["what?", "who?"], (2, 0, 2, 0, 0)),
        ("carriage returns", [nginx() + "\r", nginx() + "\r"], (2, 2, 0, 0, 0)),
    ],
)
def test_counts(name, lines, expected):
    assert counts(Log().read(*lines)) == expected, name


def test_an_event_is_named_by_its_place():
    log = Log()
    first = nginx()
    batch = log.read(first, "", nginx())
    places = [(e.id, e.source, e.offset) for e in batch.events]
    second = len(first) + 2
    assert places == [("src-0", "src", 0), (f"src-{second:x}", "src", second)]
    assert log.state.position == log.offset


def test_the_last_line_may_lack_its_end():
    log = Log()
    assert counts(log.read(nginx(), nginx(), end=b"")) == (2, 2, 0, 0, 0)
    assert log.state.position == log.offset


def test_what_was_counted_before_is_duplicate():
    log = Log()
    log.read(nginx(), nginx())
    log.offset = 0
    assert counts(log.read(nginx(), nginx(), nginx())) == (3, 1, 0, 2, 0)


def test_a_reject_says_why_and_where():
    line = b"x" * 9000 + b"\xff"
    rejects = Log().read(nginx(), line).rejects
    sha = hashlib.sha256(line).hexdigest()
    at = len(nginx()) + 1
    assert rejects == [Reject("src", at, "not_this_format", sha, "x" * 4096)]


def test_faults_are_lines_that_were_not_understood():
    log = Log()
    fault = (7, "too_long", "ab" * 32, b"password=hunter22 \xff")
    batch = log.reader.read(log.state, 100, b"", [fault])
    assert batch.rejects == [
        Reject("src", 7, "too_long", "ab" * 32, "password=[secret] \\xff"),
    ]
    assert (batch.lines, batch.duplicate, log.state.position) == (1, 0, 100)
    again = log.reader.read(log.state, 100, b"", [fault])
    assert (again.lines, again.duplicate, again.rejects) == (1, 1, [])


REPEATED = record(request_id="r1")


@pytest.mark.parametrize(
    ("name", "second", "duplicate"),
    [
        ("the same request", REPEATED, 1),
        ("another request, same id", record(request_id="r1", request="GET /x HTTP/1.1"), 0),
        ("another time, same id", record(request_id="r1", time="2026-11-22T10:00:01Z"), 0),
        ("another id", record(request_id="r2"), 0),
        ("no id", record(), 0),
    ],
)
def test_repeated_request_ids(name, second, duplicate):
    log = Log()
    assert counts(log.read(REPEATED)) == (1, 1, 0, 0, 0)
    assert log.read(second).duplicate == duplicate, name


def test_request_ids_are_kept_for_a_while(monkeypatch):
    monkeypatch.setattr("intake.frames._REQUESTS", 10)
    log = Log()
    log.read(REPEATED, *[record(request_id=f"x{n}") for n in range(12)])
    assert log.read(REPEATED).duplicate == 1
    log.read(*[record(request_id=f"y{n}") for n in range(25)])
    assert log.read(REPEATED).duplicate == 0
    assert sum(map(len, log.reader._requests["src"])) <= 20


def test_late_events_are_events():
    log = Log()
    batch = log.read(*[nginx(second=s) for s in (0, 59, 118, 119, 120, 59, 60)])
    assert counts(batch) == (7, 7, 0, 0, 1)
    assert [e.late for e in batch.events] == [False] * 5 + [True, False]


@pytest.mark.parametrize(
    ("name", "seconds", "max_s"),
    [
        ("first line", [100], 0),
        ("second agrees", [100, 101], 101),
        ("in order", [100, 101, 130, 190], 190),
        ("one wild line", [100, 101, 90_000, 102, 103], 103),
        ("one wild line first", [90_000, 100, 101], 101),
        ("wild lines far apart", [100, 101, 90_000, 102, 900_000, 103], 103),
        ("a minute ahead is not believed alone", [100, 101, 170], 101),
        ("an hour of quiet", [100, 101, 4000, 4001], 4001),
        ("a sparse log", [100, 400, 700, 1000], 700),
    ],
)
def test_the_watermark(name, seconds, max_s):
    mark = Watermark()
    for second in seconds:
        if AT + second * 1000 > mark.max_ms:
            mark.advance(AT + second * 1000)
    assert mark.max_ms == (AT + max_s * 1000 if max_s else 0), name


def test_own_successes_are_noted_by_address_and_principal():
    log = Log(trust={"principal": "gateway"})
    batch = log.read(
        nginx("/users/17", user="17"),
        nginx("/health", second=1, user="17"),
        nginx("/users/18", second=2, user="17"),
        nginx("/users/17", second=3, user="17", status=403),
        nginx("/users/18", second=4, user="18", ip="192.0.2.8"),
        nginx("/health", second=5),
    )
    assert batch.own == {("192.0.2.7", "17"): AT + 1000, ("192.0.2.8", "18"): AT + 4000}


def test_notable_lines_go_on_with_their_evidence():
    log = Log(trust={"principal": "gateway"})
    secret = nginx("/users/18?token=abcdefgh12345", user="17")
    batch = log.read(nginx("/users/17", user="17"), secret)
    event = batch.events[1]
    assert [s.event for s in batch.signals] == [e.event for e in batch.exposures] == [event.id]
    (raw,) = batch.raw
    assert (raw.event, raw.sha256) == (event.id, hashlib.sha256(secret.encode()).hexdigest())
    assert raw.masked
    assert b"abcdefgh12345" not in raw.data
    assert "abcdefgh12345" not in repr(batch)


def test_a_raw_line_without_secrets_is_as_logged():
    line = b"caf\xe9 /users/18"
    assert raw_line("e", line) == RawLine("e", hashlib.sha256(line).hexdigest(), line, False)
    assert raw_line("e", line, ["/users/18"]).data == b"caf\xe9 [secret]"


def test_judged_counts_by_route():
    log = Log(trust={"principal": "gateway"})
    targets = ["/users/17", "/users/18", "/users/17", "/health"]
    batch = log.read(*[nginx(target, user="17") for target in targets])
    assert batch.judged() == {
        ("/users/{owner}", "own"): 2, ("/users/{owner}", "foreign"): 1, ("/health", "no_target"): 1,
    }  # fmt: skip


def test_times_judges_nothing():
    log = Log()
    lines = "\n".join([nginx(), "what?", nginx(second=7)]) + "\n"
    at = lines.rindex("192.0.2.7")
    assert log.reader.times(log.state, 10, lines.encode()) == [(10, AT), (10 + at, AT + 7000)]
    assert log.state.position == 0
    assert counts(log.read(nginx())) == (1, 1, 0, 0, 0)


def test_a_source_is_known_before_its_first_line_is_judged():
    crowd = [record(request="GET /health HTTP/1.1", sub=f"alice-{n}x") for n in range(60)]
    log = Log()
    first = log.read(record(request="GET /users/18 HTTP/1.1"), *crowd).events[0]
    assert (first.authentication, first.verdict) == ("anonymous", "foreign")


def test_formats():
    log = Log()
    assert counts(log.read("what?")) == (1, 0, 1, 0, 0)
    assert log.state.format == ""
    log.read(*[nginx()] * SURE)
    assert log.state.format == "nginx"
    assert counts(log.read(record())) == (1, 0, 1, 0, 0)
    assert counts(Log("json").read(record(), nginx())) == (2, 1, 1, 0, 0)
    with pytest.raises(ValueError, match="unknown format 'w3c'; known: auto, apache"):
        Log("w3c")


def test_a_restart_goes_on_where_it_was():
    log, other = Log(), Log()
    log.read(nginx())
    other.state = msgspec.msgpack.decode(msgspec.msgpack.encode(log.state), type=SourceState)
    other.reader.watermark = log.reader.watermark
    other.offset = log.offset
    assert other.read(nginx(second=1)) == log.read(nginx(second=1))
    assert LATENESS_MS == 60_000


def read_apart(log, lines, places):
    return log.reader.read_apart(log.state, [line.encode() for line in lines], places)


def test_lines_with_places_of_their_own_are_named_by_them():
    log = Log()
    batch = read_apart(log, [nginx(), "", "what?", nginx(second=1)], [5, 6, 1 << 20, 7 << 20])
    assert counts(batch) == (3, 2, 1, 0, 0)
    assert [(e.id, e.offset) for e in batch.events] == [
        ("src-5", 5),
        (f"src-{7 << 20:x}", 7 << 20),
    ]
    assert [reject.offset for reject in batch.rejects] == [1 << 20]
    assert log.state.position == (7 << 20) + 1


def test_places_that_were_read_are_duplicate():
    log = Log()
    read_apart(log, [nginx(), nginx()], [3, 9])
    assert counts(read_apart(log, [nginx()] * 4, [3, 8, 9, 10])) == (4, 1, 0, 3, 0)
    assert counts(read_apart(log, [], [])) == (0, 0, 0, 0, 0)
    assert log.state.position == 11


def test_apart_or_in_a_frame_lines_are_judged_alike():
    lines = [nginx(f"/users/{n}", n) for n in range(40)]
    framed, apart = Log(), Log()
    in_frame = framed.read(*lines)
    places = [event.offset for event in in_frame.events]
    assert read_apart(apart, lines, places) == in_frame


def test_sources_that_are_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr("intake.frames._OPEN_SOURCES", 2)
    log = Log()
    for name in ("a", "b", "c"):
        log.reader.read(SourceState(name, name), 0, REPEATED.encode() + b"\n")
    assert list(log.reader._requests) == ["b", "c"]
    assert list(log.reader._sources) == ["b", "c"]


FAR = [b"2026-11-22 10:00:00 INFO worker ready"] * 50


def test_a_state_of_before_formats_were_learned_by_line_goes_on():
    old = {"id": "src", "name": "access.log", "position": 0, "format": "nginx", "credentials": {}}
    log = Log()
    log.state = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=SourceState)
    assert counts(log.read(*FAR, nginx(), record())) == (52, 2, 50, 0, 0)


def test_times_do_not_learn_what_is_still_to_be_read():
    log = Log()
    lines = [*FAR, *[nginx(second=n) for n in range(30)], *[record() for _ in range(30)]]
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    times = log.reader.times(log.state, 0, data)
    before = msgspec.msgpack.encode(log.state)
    assert log.reader.times(log.state, 0, data) == times
    assert msgspec.msgpack.encode(log.state) == before
    batch = log.read(*lines)
    assert [(event.offset, event.time_ms) for event in batch.events] == times


def test_wrapped_lines_are_kept_as_they_were_logged():
    log = Log(trust={"principal": "gateway"})
    carried = "2026-11-22T10:00:00.5Z stdout F " + nginx("/users/18?token=abcdefgh12345", user="17")
    batch = log.read(carried)
    assert [event.targets for event in batch.events] == [("18",)]
    (raw,) = batch.raw
    assert raw.sha256 == hashlib.sha256(carried.encode()).hexdigest()
    assert raw.data.startswith(b"2026-11-22T10:00:00.5Z stdout F 192.0.2.7 - 17 [")
    assert b"abcdefgh12345" not in raw.data
    assert (log.state.wrapper, log.state.format) == ("cri", "nginx")


def test_a_named_format_is_unwrapped_too():
    log = Log("nginx")
    lines = ["<134>Nov 22 10:00:00 web nginx: " + nginx(), record(), nginx()]
    assert counts(log.read(*lines)) == (3, 2, 1, 0, 0)


CLOCKS = [
    ("an hour back, and on from there", [0, 10, 20, -3580, -3570, 21], [0, 0, 0, 1, 1, 0]),
    ("back by less than the lateness", [0, 30, 60, 5, 15, 70], [0, 0, 0, 0, 0, 0]),
    ("ahead for a while, and back", [0, 9000, 9001, 20, 30, 9061], [0, 0, 0, 1, 1, 0]),
    ("ahead once", [0, 9000, 20, 30], [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("name", "seconds", "late"), CLOCKS, ids=[c[0] for c in CLOCKS])
def test_clocks_that_jump(name, seconds, late):
    times = [AT + 7_200_000 + second * 1000 for second in seconds]
    lines = [record(time=time_ms) for time_ms in times]
    batch = Log().read(*lines)
    assert [(event.time_ms, int(event.late)) for event in batch.events] == [
        *zip(times, late, strict=True)
    ]
    assert batch.late == sum(late)
