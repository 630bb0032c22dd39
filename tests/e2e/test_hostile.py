"""Files that are broken, or made to break: every good line of theirs is still an event.

Must hold 6: each gives a clear message or a counted reject and the contract's exit code, never a
traceback, never a lost good line; lines = events + rejected + duplicate, always.
"""

import gzip
import json
import os
import sys
from random import Random

import pytest

from tests.e2e._program import Result, command, ecs, flat, iso, nginx, process, run, scan

pytestmark = pytest.mark.stack

GOOD = 30


def good(line=ecs):
    """Lines of thirty people, each with a path of its own, so that a lost one shows."""
    return [
        line(n * 3, f"198.18.1.{1 + n}", f"/users/u-{n:03d}/profile").encode() for n in range(GOOD)
    ]


PATHS = [f"/users/u-{n:03d}/profile" for n in range(GOOD)]


def amid(*bad, line=ecs):
    """The bad lines between good ones, one after every second of them."""
    out, waiting = [], list(bad)
    for n, text in enumerate(good(line)):
        out.append(text)
        if n % 2 and waiting:
            out.append(waiting.pop(0))
    return b"\n".join(out + waiting) + b"\n"


def with_value(field, value):
    """A flat JSON line with one raw value."""
    document = json.loads(flat(5, "198.18.2.1", "/users/u-900/profile"))
    document[field] = "@@"
    return json.dumps(document).encode().replace(b'"@@"', value)


def with_time(value):
    return ecs(5, "198.18.2.1", "/x").replace(iso(5), value).encode()


def zoned(address):
    return ecs(5, address, "/x").encode()


DEEP = 200_000
CASES = {
    "CRLF": (b"\r\n".join(good()) + b"\r\n", GOOD, 0),
    "CRLF, nginx": (b"\r\n".join(good(nginx)) + b"\r\n", GOOD, 0),
    "byte order mark": (b"\xef\xbb\xbf" + b"\n".join(good()) + b"\n", GOOD, 0),
    "byte order mark, nginx": (b"\xef\xbb\xbf" + b"\n".join(good(nginx)) + b"\n", GOOD, 0),
    "blank lines": (b"\n\n  \n\t\n".join(good()) + b"\n\n\r\n", GOOD, 0),
    "no newline at the end": (b"\n".join(good()), GOOD, 0),
    "no newline at the end, nginx": (b"\n".join(good(nginx)), GOOD, 0),
    "a cut line at the end": (b"\n".join(good()) + b'\n{"@timestamp":"2026-11-2', GOOD, 1),
    "a leading block of NULs": (bytes(70_000) + b"\n".join(good()) + b"\n", GOOD, 0),
    "NUL lines": (amid(b"\0" * 100, b"\0", line=nginx), GOOD, 2),
    "NUL within a line": (amid(good()[0][:40] + b"\0" + good()[0][41:]), GOOD, 1),
    "binary lines": (amid(*Random(1).randbytes(4000).split(b"\n")[:9], line=nginx), GOOD, 9),
    "deeply nested object": (amid(b'{"a":' * DEEP + b"1" + b"}" * DEEP), GOOD, 1),
    "deeply nested and unclosed": (amid(b'{"a":[' * DEEP, b"[" * DEEP), GOOD, 2),
    "deeply nested value": (amid(with_value("user_id", b"[" * 900 + b"]" * 900)), GOOD, None),
    "not an object": (amid(b"[]", b"1", b'"text"', b"null", b"true"), GOOD, 5),
    "not JSON": (amid(b"{", b"{]}", b'{"a":}', b"{'a':1}", b"Traceback (most recent"), GOOD, 5),
    "lone surrogate": (amid(with_value("user_id", rb'"\ud800"')), GOOD, None),
    "NUL character in JSON": (amid(with_value("user_id", rb'"\u0000x"')), GOOD, None),
    "an endless number": (amid(with_value("status", b"9" * 5000)), GOOD, 1),
    "a status that is none": (amid(with_value("status", b'"abc"')), GOOD, 1),
    "a size that is none": (amid(with_value("body_bytes_sent", b"-1e999")), GOOD, None),
    "invalid UTF-8 in a field": (amid(with_value("http_user_agent", b'"\xff\xfe"')), GOOD, None),
    "invalid UTF-8 in a path": (
        amid(nginx(5, "198.18.2.1", "/caf@").encode().replace(b"@", b"\xe9"), line=nginx),
        GOOD,
        None,
    ),
    "year 2038 and after": (
        amid(with_time("2038-01-19T03:14:08.000Z"), with_time("2099-12-31T23:59:59.000Z")),
        GOOD + 2,
        0,
    ),
    "years out of range": (
        amid(
            with_time("0000-01-01T00:00:00Z"),
            with_time("99999-01-01T00:00:00Z"),
            with_time("2106-02-07T06:28:16Z"),
        ),
        GOOD,
        3,
    ),
    "no such day": (amid(with_time("2026-02-30T00:00:00Z"), with_time("")), GOOD, 2),
    "negative time": (
        amid(with_value("time", b"-1"), with_value("time", b"-62135596801")),
        GOOD,
        None,
    ),
    "time is not a number": (
        amid(
            with_value("time", b"NaN"), with_value("time", b'"NaN"'), with_value("time", b'"inf"')
        ),
        GOOD,
        3,
    ),
    "time beyond numbers": (
        amid(with_value("time", b"1e400"), with_value("time", b"1e300")),
        GOOD,
        2,
    ),
    "IPv6 zone id": (amid(zoned("fe80::1%eth0"), zoned("fe80::2%25en0")), GOOD + 2, 0),
    # A host name is what a server logs that looks addresses up.
    "no address": (amid(zoned(""), zoned("-"), zoned("host.example")), GOOD + 1, 2),
    "garbage request": (
        amid(
            rb'198.18.2.1 - - [22/Nov/2026:09:00:00 +0000] "\x16\x03\x01" 400 0 "-" "-"', line=nginx
        ),
        GOOD + 1,
        0,
    ),
    "empty request": (
        amid(b'198.18.2.1 - - [22/Nov/2026:09:00:00 +0000] "" 400 0 "-" "-"', line=nginx),
        GOOD + 1,
        0,
    ),
}


def paths(documents):
    return [d["url"]["original"] for d in documents if d["url"]["original"] in PATHS]


@pytest.mark.parametrize("name", CASES)
def test_every_good_line_is_still_an_event(tmp_path, name):
    """Must hold 6, by scan, parse and run alike."""
    content, events, rejected = CASES[name]
    log = tmp_path / "access.log"
    log.write_bytes(content)
    result = scan(tmp_path, log)
    counts = result.counts
    assert counts[3] == 0
    if rejected is None:  # either is right, as long as it is counted
        assert counts[1] >= events
        assert counts[0] == counts[1] + counts[2]
    else:
        assert counts == (events + rejected, events, rejected, 0)
    assert result.summary["late"] <= counts[1] - GOOD, "a good line was late"
    where = ("--data-dir", tmp_path / "data", "--config", tmp_path / "breachline.yaml")
    parsed = run("parse", log, *where)
    assert (parsed.code, parsed.err) == (0, "")
    assert paths(parsed.documents) == PATHS
    assert len(parsed.documents) == counts[1]
    rejects = run("parse", "--rejects", log, *where).documents
    assert [r["offset"] for r in rejects] == [r["offset"] for r in result.rejects]
    live = run("run", log, "--once", *where)
    assert (live.code, live.err) == (0, "")
    query = "SELECT count(*) AS n, count(DISTINCT path) FILTER (path LIKE '/users/u-0%') AS good"
    kept = run("history", "--sql", query + " FROM events", *where).documents
    assert kept == [{"n": counts[1], "good": GOOD}]


def test_a_line_of_fifty_megabytes(tmp_path):
    """Must hold 6: it is one reject, the lines around it are events, and memory stays small."""
    log, out = tmp_path / "access.ndjson", tmp_path / "out"
    with log.open("wb") as file:
        file.write(b"\n".join(good()) + b'\n{"user_agent":"')
        for _ in range(50):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n')
        file.write(ecs(300, "198.18.1.99", "/users/u-099/profile").encode())
    (tmp_path / "empty.yaml").write_text("{}\n")
    words = command("scan", log, "--out", out, "--data-dir", tmp_path, "--config")
    words.append(str(tmp_path / "empty.yaml"))
    with (tmp_path / "printed").open("wb") as printed:
        # A process begins at the peak of the one that spawns it: a small one stands between.
        ask = "import os, sys; w = sys.argv[1:]; p = os.posix_spawn(w[0], w, os.environ);"
        ask += "_, s, u = os.wait4(p, 0); print('peak', u.ru_maxrss);"
        ask += "sys.exit(os.waitstatus_to_exitcode(s))"
        words = [sys.executable, "-S", "-c", ask, *words]
        child = os.posix_spawn(
            words[0], words, os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, printed.fileno(), fd) for fd in (1, 2)],
        )  # fmt: skip
        _, status = os.waitpid(child, 0)
    text = (tmp_path / "printed").read_text()
    assert (os.waitstatus_to_exitcode(status), "Traceback" in text) == (0, False), text
    assert "too_long" in text
    result = Result(out)
    assert result.counts == (GOOD + 2, GOOD + 1, 1, 0)
    assert [(r["reason"], len(r["line"]) <= 4096) for r in result.rejects] == [("too_long", True)]
    peak_kb = int(text.rpartition("peak ")[2])
    assert peak_kb < 300_000, f"{peak_kb // 1000} MB at peak"


def test_a_truncated_archive(tmp_path):
    """Must hold 6: what was readable was read, the rest is a reject and a warning; exit 0."""
    packed = gzip.compress(b"\n".join(good() * 400) + b"\n", mtime=0)
    log = tmp_path / "access.log.gz"
    log.write_bytes(packed[: len(packed) // 2])
    result = scan(tmp_path, log)
    lines, events, rejected, duplicate = result.counts
    assert (lines, rejected, duplicate) == (events + 1, 1, 0)
    assert 0 < events < GOOD * 400
    assert [reject["reason"] for reject in result.rejects] == ["truncated_archive"]
    assert "truncated_archive" in result.ran.err
    assert "what was readable was read" in result.ran.err


def test_a_file_of_nothing_but_bytes(tmp_path):
    """Must hold 6: a binary is counted, and exit 1 says that every line was rejected."""
    log = tmp_path / "access.log"
    log.write_bytes(Random(2).randbytes(200_000))
    result = scan(tmp_path, log, code=1)
    lines, events, rejected, _ = result.counts
    assert (events, rejected) == (0, lines)
    assert lines > 0
    assert "Every line was rejected" in result.ran.err


def test_an_empty_file(tmp_path):
    """Must hold 6: nothing in it is nothing wrong."""
    log = tmp_path / "access.log"
    log.write_bytes(b"")
    assert scan(tmp_path, log).counts == (0, 0, 0, 0)
    where = ("--data-dir", tmp_path / "data", "--config", tmp_path / "breachline.yaml")
    assert [run(*words, *where).code for words in (("parse", log), ("run", log, "--once"))] == [
        0,
        0,
    ]


def missing(folder):
    return folder / "no-such.log", "no such file"


def directory(folder):
    return folder, "it is a directory"


def under_a_file(folder):
    (folder / "file").write_text("x")
    return folder / "file" / "access.log", "Not a directory"


def loop(folder):
    (folder / "loop").symlink_to("loop")
    return folder / "loop", "symbolic links"


def socket_file(folder):
    return "/dev/null", "not a regular file"


def unreadable(folder):
    log = folder / "secret.log"
    log.write_bytes(b"\n".join(good()))
    log.chmod(0)
    if os.access(log, os.R_OK):
        pytest.skip("this user reads every file: a log without permission cannot be made here")
    return log, "permission denied"


@pytest.mark.parametrize("words", [("scan",), ("parse",), ("run", "--once")], ids=lambda w: w[0])
@pytest.mark.parametrize(
    "make",
    [missing, directory, under_a_file, loop, socket_file, unreadable],
    ids=lambda m: m.__name__,
)
def test_a_log_that_cannot_be_read(tmp_path, make, words):
    """Must hold 6: exit 2 and one clear line, before anything is read or written."""
    log, says = make(tmp_path)
    sound = tmp_path / "sound.log"
    sound.write_bytes(b"\n".join(good()))
    (tmp_path / "breachline.yaml").write_text("{}\n")
    data = tmp_path / "data"
    where = ("--data-dir", data, "--config", tmp_path / "breachline.yaml")
    ran = run(*words, sound, log, *where)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert str(log) in ran.err
    assert says in ran.err
    assert not data.exists()


def test_a_process_of_its_own_says_the_same(tmp_path):
    """Must hold 6: the exit codes are the process's too; standard input is a log like any other."""
    (tmp_path / "breachline.yaml").write_text("{}\n")
    where = ("--data-dir", tmp_path / "data", "--config", tmp_path / "breachline.yaml")
    ran = process("scan", tmp_path / "no-such.log", *where)
    assert (ran.code, ran.out) == (2, "")
    assert "no such file" in ran.err
    lines = b"\n".join(good()) + b"\n\xff\xfe\n"
    ran = process("scan", "-", "--out", tmp_path / "out", *where, stdin=lines)
    assert (ran.code, Result(tmp_path / "out").counts) == (0, (GOOD + 1, GOOD, 1, 0))
    ran = process("scan", "-", "--out", tmp_path / "none", *where, stdin=b"")
    assert (ran.code, Result(tmp_path / "none").counts) == (0, (0, 0, 0, 0))
