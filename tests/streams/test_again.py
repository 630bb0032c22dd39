"""Lines that were read once, read again: the same bytes, or none."""

import gzip
import hashlib
import json
from threading import Event

import pytest

from evidence.store import EmbeddedStore
from intake.settings import IntakeSettings
from records.event import RawLine
from streams.again import Again
from streams.clock import SystemClock
from streams.lines import MAX_LINE_BYTES
from streams.scan import scan
from streams.settings import Settings
from streams.tables import read_tables
from tests import _attack


class Read:
    """A log that was read once: its sources as the store has them, and where its lines stand."""

    def __init__(self, folder, path):
        settings = Settings(data_dir=folder / "var")
        out = folder / "out"
        out.mkdir()
        scan([str(path)], settings, read_tables(settings.intake), out, SystemClock())
        with EmbeddedStore.open_readonly(out) as store:
            self.sources = store.sources()
        (source,) = self.sources
        self.source = source.id
        self.content = path.read_bytes()
        lines = self.content.splitlines(keepends=True)
        self.offsets = [sum(map(len, lines[:n])) for n in range(len(lines))]
        self.lines = [line.rstrip(b"\n") for line in lines]

    def again(self, numbers, off_ms=0, stop=None):
        """SHA-256 by number of those lines that are given out; `off_ms`: beside their time."""
        places = {
            self.offsets[n]: _attack.START_MS + 1000 * self.second(n) + off_ms for n in numbers
        }
        found = list(Again(self.sources, IntakeSettings(), stop).lines(self.source, places))
        return {self.offsets.index(int(one.event.rpartition("-")[2], 16)): one for one in found}

    def second(self, n):
        return 60 * (n // 12) + n % 12


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("".join(_attack.ordinary(20)))
    return path


@pytest.fixture
def read(log, tmp_path):
    return Read(tmp_path, log)


def digests(found):
    return {n: line.sha256 for n, line in found.items()}


def expected(read, numbers):
    return {n: hashlib.sha256(read.lines[n]).hexdigest() for n in numbers}


SOME = [0, 1, 17, 18, 239]


def test_the_same_lines_with_their_secrets_masked(read):
    found = read.again(SOME)
    assert digests(found) == expected(read, SOME)
    line = found[17]
    assert (line.masked, b"s-u-15" in line.data, b"/api/v1/users/u-15/profile" in line.data) == (
        True, False, True,
    )  # fmt: skip


def in_docker(text):
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-22T09:00:00Z"}) + "\n"


def of_iis(lines):
    """Lines of IIS that begin with what says how to read them."""
    yield "#Fields: date time c-ip cs-username cs-method cs-uri-stem cs(Cookie) sc-status\n"
    for text in lines:
        record = json.loads(text)
        day, clock = record["@timestamp"].rstrip("Z").split("T")
        yield (
            f"{day} {clock} {record['source']['ip']} - GET {record['url']['original']} "
            f"a=b;+ASP.NET_SessionId={record['session']['id']} 200\n"
        )


OTHERS = [
    ("carried", lambda lines: map(in_docker, lines), 0),
    ("a line says how others are written", of_iis, 1),
    ("both", lambda lines: map(in_docker, of_iis(lines)), 1),
]


@pytest.mark.parametrize(("name", "written", "before"), OTHERS, ids=[c[0] for c in OTHERS])
def test_lines_in_a_form_that_was_learned(name, written, before, tmp_path):
    path = tmp_path / f"{name}.log"
    path.write_text("".join(written(_attack.ordinary(20))))
    read = Read(tmp_path, path)
    places = {
        read.offsets[n + before]: _attack.START_MS + 1000 * read.second(n) for n in SOME
    }  # fmt: skip
    found = list(Again(read.sources, IntakeSettings()).lines(read.source, places))
    assert [line.sha256 for line in found] == [
        hashlib.sha256(read.lines[n + before]).hexdigest() for n in SOME
    ]
    assert [(line.masked, b"s-u-" in line.data) for line in found] == [(True, False)] * len(SOME)


def grown(log, _read):
    with log.open("ab") as file:
        file.write(b"more\n")


def rotated(log, _read):
    log.rename(log.with_name("access.log.1"))
    log.write_text("another\n")


def packed(log, read):
    log.unlink()
    log.with_name("access.log.2.gz").write_bytes(gzip.compress(read.content))


def copied(log, _read):
    """And what it was copied from begins anew, shorter than what was read of it."""
    content = log.read_bytes()
    log.with_name("access.log.1").write_bytes(content)
    log.write_bytes(content[:400])


@pytest.mark.parametrize("move", [grown, rotated, packed, copied], ids=lambda move: move.__name__)
def test_wherever_the_file_went(read, log, move):
    move(log, read)
    assert digests(read.again(SOME)) == expected(read, SOME)


def gone(log, _read):
    log.unlink()


def replaced(log, read):
    log.write_bytes(b"x" * len(read.content))


def another_beginning(log, read):
    first, _, rest = read.content.partition(b"\n")
    log.write_bytes(first.replace(b"u-10", b"u-99") + b"\n" + rest)


def shifted_behind_its_beginning(log, read):
    """The first 4096 bytes are the same, and all behind them stands a byte later."""
    at = read.content.index(b"\n", 8000) + 1
    log.write_bytes(read.content[:at] + b"\n" + read.content[at:])


def cut_off(log, read):
    log.write_bytes(read.content[:6000])


DIFFERS = [
    (gone, []),
    (replaced, []),
    (another_beginning, []),
    (cut_off, []),
    (shifted_behind_its_beginning, [0, 1, 17, 18]),
]


@pytest.mark.parametrize(("change", "left"), DIFFERS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_not_the_same_is_not_given_out(read, log, change, left):
    change(log, read)
    assert digests(read.again(SOME)) == expected(read, left)


def test_a_line_of_another_time_is_another_line(read):
    assert read.again(SOME, off_ms=1) == {}


def test_a_place_within_a_line_has_no_line(read):
    again = Again(read.sources, IntakeSettings())
    assert list(again.lines(read.source, {read.offsets[3] + 1: _attack.START_MS})) == []


def test_nobody_asked_for(read):
    again = Again(read.sources, IntakeSettings())
    assert list(again.lines(read.source, {})) == []
    assert list(again.lines("unknown", {0: 1})) == []


def test_who_has_to_stop_does(read, log):
    packed(log, read)
    stop = Event()
    stop.set()
    assert read.again(SOME, stop=stop) == {}


def test_a_line_longer_than_any_is_passed_over(log, tmp_path):
    with log.open("ab") as file:
        file.write(b"y" * (MAX_LINE_BYTES + 1) + b"\n" + _attack.entry(9, "u-10", "/x").encode())
    read = Read(tmp_path, log)
    last = len(read.offsets) - 1
    again = Again(read.sources, IntakeSettings())
    places = {read.offsets[last - 1]: 1, read.offsets[last]: _attack.START_MS + 9000}
    (line,) = again.lines(read.source, places)
    assert isinstance(line, RawLine)
    assert line.sha256 == hashlib.sha256(read.lines[last]).hexdigest()


def test_an_unreadable_file_has_no_lines(read, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("streams.again.open_log", refuse)
    assert read.again(SOME) == {}
