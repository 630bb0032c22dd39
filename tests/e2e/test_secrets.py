"""Credentials that stand in a log stay in that log: nothing Breachline writes or says has one.

The log has every kind of them, in every place, in sound lines, attacks and rejects alike. All files
that were written are opened, also archives, databases and columns, and searched as bytes as well.
"""

import base64
import contextlib
import gzip
import json
import sqlite3
import zipfile
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e._program import by_time, ecs, flat, nginx, process, run, write

pytestmark = pytest.mark.stack

NAMES = (
    "bearer basic cookie session password apikey accesstoken refreshtoken resetcode signature "
    "referertoken jsessionid userinfo rejectbearer rejectkey rejectpassword originpassword nginxkey"
)
SECRET = {name: f"Zq7{name}9Xw" for name in NAMES.split()}
PASSWORD = "p@ss w0rd/Zq7"


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


TOKEN = f"{segment({'alg': 'RS256'})}.{segment({'sub': 'u-007'})}.{SECRET['bearer']}"
BASIC = base64.b64encode(f"u-007:{SECRET['basic']}".encode()).decode()
FORBIDDEN = sorted(
    {*SECRET.values(), TOKEN, BASIC, PASSWORD, quote(PASSWORD), quote(PASSWORD, safe="")}
)
QUERY = (
    f"password={quote(PASSWORD)}&api_key={SECRET['apikey']}&page=2"
    f"&access_token={SECRET['accesstoken']}&refreshToken={SECRET['refreshtoken']}"
    f"&code={SECRET['resetcode']}&X-Amz-Signature={SECRET['signature']}"
)
REFERER = f"https://admin:{SECRET['userinfo']}@app.example/cb?token={SECRET['referertoken']}&x=1"


def lines(kind):
    """The first line, ordinary ones, an attack on thirty people, and lines that are rejects."""
    yield 0, line(kind, 0, "198.18.1.1", f"/users/u-007/profile?{QUERY}")
    for n in range(1, 60):
        target = f"/users/u-{n:03d}/profile;jsessionid={SECRET['jsessionid']}?{QUERY}"
        yield n, line(kind, n, f"198.18.1.{n}", target)
    for n in range(30):
        second, target = 100 + n, f"/users/u-{200 + n:03d}/profile?{QUERY}"
        yield second, line(kind, second, "203.0.113.7", target)
    for n, text in enumerate(rejects()):
        yield 50 + n, text


def line(kind, second, ip, target):
    if kind == "nginx":
        return nginx(second, ip, target).replace('"-"', f'"{REFERER}"', 1)
    headers = {
        "authorization": f"Bearer {TOKEN}" if second % 2 else f"Basic {BASIC}",
        "cookie": f"theme=dark; session={SECRET['cookie']}; lang=en",
        "x-api-key": SECRET["apikey"],
    }
    if kind == "ecs":
        document = json.loads(ecs(second, ip, target, session=SECRET["session"]))
        document["http"]["request"] |= {"headers": headers, "referrer": REFERER}
        return json.dumps(document)
    flattened = {f"http_{name.replace('-', '_')}": value for name, value in headers.items()}
    more = {"authorization": headers["authorization"], "session_id": SECRET["session"]}
    return flat(second, ip, target, http_referer=REFERER, **flattened, **more)


def rejects():
    yield f'{{"Authorization": "Bearer {SECRET["rejectbearer"]}", "broken": '
    yield f"GET /login?api_key={SECRET['rejectkey']} HTTP/1.1"
    yield f'not a line: password="{SECRET["rejectpassword"]}" user=u-007'
    yield f"connect to postgres://app:{SECRET['originpassword']}@db.example/app failed"
    yield f'198.18.1.9 - - [nonsense] "GET /x?apikey={SECRET["nginxkey"]} HTTP/1.1" 200 5'


@pytest.mark.parametrize("kind", ["ecs", "json", "nginx"])
def test_no_secret_of_the_log_is_in_anything_that_is_written_or_said(tmp_path, kind):
    """Issue S1, intake: tokens and session ids never stored, logged or shown."""
    log, kept = write(tmp_path / "access.log", by_time(lines(kind))), tmp_path / "kept"
    kept.mkdir()
    (kept / "breachline.yaml").write_text("detect: {cross_user_read: {window: 1h}}\n")
    said = []

    def call(*words, code=0, data="data", by=run):
        ran = by(*words, "--config", kept / "breachline.yaml", "--data-dir", kept / data)
        assert ran.code == code, ran.err
        said.extend([ran.out, ran.err])
        return ran

    call("scan", log, "--out", kept / "scan", data="live")
    call("scan", log, "--json", "--out", kept / "again")
    call("parse", log)
    assert len(call("parse", "--rejects", log).documents) == 5
    call("run", log, "--once", data="live")
    call("run", log, "--once", "--json", data="other", by=process)
    (incident,) = call("incidents", "--json", data="live").documents
    name = incident["id"]
    for where in (("--from", kept / "scan"), ()):
        call("incidents", name, *where, data="live")
        call("affected", name, "--json", *where, data="live")
        listed = call("evidence", "list", name, "--json", *where, data="live").documents
        assert len(listed) >= 30
        assert {document["masked"] for document in listed} == {True}
        call("evidence", "show", listed[0]["event"], *where, data="live")
        bundle = kept / f"bundle{len(where)}.zip"
        call("evidence", "export", name, "-o", bundle, *where, data="live")
        call("explain", "--incident", name, *where, data="live")
        call("explain", "--ip", "203.0.113.7", "--json", *where, data="live")
        assert len(call("history", "--json", *where, data="live").documents) == 90
        call("history", "--sql", "SELECT * FROM events", *where, data="live")
    call("blocks", "--json", data="live")
    for text in said:
        assert secrets_in(text.encode()) == []
    found = {path: secrets_in(data) for path, data in contents(kept)}
    assert {path: names for path, names in found.items() if names} == {}
    kinds = {path.rpartition(":")[2] for path in found if ":" in path}
    assert kinds >= {"columns", "member", "table source", "table line", "table reject"}


def secrets_in(data):
    return [secret for secret in FORBIDDEN if secret.encode() in data]


def contents(folder):
    """(name, bytes) of all files below, and of all that is packed in them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name, data = str(path.relative_to(folder)), path.read_bytes()
            yield name, name.encode() + data
            yield from unpacked(name, path, data)


def unpacked(name, path, data):
    if data.startswith(b"\x1f\x8b"):
        yield f"{name}:gzip", gzip.decompress(data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield f"{name}/{member}:member", archive.read(member)
    elif data.startswith(b"PAR1"):
        yield f"{name}:columns", repr(pq.read_table(path).to_pylist()).encode()
    elif data.startswith(b"SQLite format 3"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
                cells = [cell for row in rows for cell in row]
                yield f"{name}:table {table}", b"\n".join(map(as_bytes, cells))


def as_bytes(cell):
    """A cell's bytes; a staged batch of columns is unpacked."""
    if not isinstance(cell, bytes):
        return str(cell).encode()
    with contextlib.suppress(msgspec.DecodeError, TypeError, ValueError, pa.ArrowException):
        size, packed = msgspec.msgpack.decode(cell)
        return cell + pa.decompress(packed, decompressed_size=size, codec="zstd", asbytes=True)
    return cell
