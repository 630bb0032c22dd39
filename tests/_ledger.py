"""A small log with everything in it, signed by keys that tests know, and its bundle."""

import contextlib
import hashlib
import json
import sqlite3
import zipfile
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.bundle import _write, export
from evidence.log import Approval
from evidence.signing import Signer
from evidence.store import EmbeddedStore
from evidence.verify.notes import Trust, read_key
from records.event import RawLine
from records.ids import event_id
from tests._events import action, finding, incident, receipt

ORIGIN = "breachline/test/evidence"
NOW_MS = 1_790_000_100_000
E = [event_id("a1b2", n * 100) for n in range(6)]
DOCUMENTS: dict[str, Any] = {
    "incident": {"id": "inc-1", "b": 1, "a": "é"},
    "findings": [{"event": {"id": "fin-1"}, "user": {"id": "u-2"}, "message": "u-1 and u-12"}],
    "affected": [{"user": "u-2", "reads": 1}, {"user": "u-1", "reads": 2}],
    "objects": [{"object": "o-1"}],
}


def signer(n: int = 1, name: str = ORIGIN) -> Signer:
    """The n-th key; a test knows them all, an attacker has those above 100."""
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))


def key(n: int = 1):
    """As the verifier reads it."""
    return read_key(signer(n).key.format())


def trust(*numbers: int) -> Trust:
    return Trust([key(n) for n in numbers or (1,)])


def line(n: int = 0, data: bytes = b"GET /users/7", masked: bool = False) -> RawLine:
    logged = data + b"?token=1" if masked else data
    return RawLine(event_id("a1b2", n * 100), hashlib.sha256(logged).hexdigest(), data, masked)


def sealed(path, *numbers: int) -> EmbeddedStore:
    """A store that signs each commit, by the first key if none is named."""
    store = EmbeddedStore.open(path)
    store.ledger.sign_with(ORIGIN, [signer(n) for n in numbers or (1,)])
    return store


def fill(store: EmbeddedStore) -> EmbeddedStore:
    """An incident, its actions, its lines: one masked, one not UTF-8, one not kept; 15 entries."""
    store.put_findings([finding(evidence=(E[0], E[1], E[4]))])
    store.put_incidents([incident(version=3, merged=("inc-0",))])
    lines = [line(0), line(1, masked=True), line(2, b"\xff\x00"), line(5)]
    store.add_lines(lines)
    with store.transaction():
        store.log.append("configuration", "cfg-1", NOW_MS, "configuration", {"digest": "0f"})
        store.log.append("finding", "fin-1", NOW_MS, "fin-1", DOCUMENTS["findings"][0])
        store.log.append("incident", "inc-1@3", NOW_MS, "inc-1", DOCUMENTS["incident"])
    with store.transaction():
        for one in lines[:3]:
            store.log.append_captured(one, "inc-0", NOW_MS)
    store.log.append_intent(action())
    store.log.append_intent(action("act-2", incident="inc-0"))
    with store.transaction():
        store.log.append_intent(action("act-3", incident="inc-other"))
        store.log.append_receipt(receipt())
        store.log.append_receipt(receipt("act-3"))
        store.log.append_approval(
            Approval(action="act-1", approved=True, by="ada", why="yes", at_ms=NOW_MS)
        )
    with store.transaction():
        for n in range(3):
            said = {"incident": "inc-1", "by": "ada", "n": n}
            store.log.append("read", f"rd-{n}", NOW_MS + n, "inc-1", said)
    return store


SIZE = 15
HEADS = [3, 6, 7, 8, 12, 15]


def exported(store: EmbeddedStore, out, **more):
    """Its bundle, signed by the first key if nobody else is named."""
    words = {"keys": [signer().key], "signers": [signer()], **DOCUMENTS, **more}
    export(store, "inc-1", out, NOW_MS, **words)
    return out


def unpack(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def pack(path, files) -> None:
    """As an export packs it: a forger knows how."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            plain = name == "manifest.note"
            _write(bundle, name, [data], zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED)


def covered(files, name: str, data: bytes) -> None:
    """A change that the manifest covers, as a forger would make it."""
    files[name] = data
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    files["manifest.json"] = json.dumps(manifest).encode()


def alone(folder) -> None:
    """Puts a store into one file without a -wal, so that its bytes are all of it."""
    with contextlib.closing(sqlite3.connect(folder / "breachline.db")) as db:
        db.execute("PRAGMA journal_mode=DELETE")


@contextlib.contextmanager
def past_the_guards(folder):
    """The database as an attacker opens it: guards away, and put back afterwards."""
    with contextlib.closing(sqlite3.connect(folder / "breachline.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in guards:
            db.execute(sql)
        db.execute("COMMIT")


def range_of(index):
    """The entries between the head before an entry and the first over it."""
    first = max([0, *(size for size in HEADS if size <= index)])
    return range(first, min(size for size in HEADS if size > index))


def published(*notes):
    return [(n, json.dumps({"note": note}).encode()) for n, note in enumerate(notes, 1)]


def found(report):
    """(what, index) of every problem."""
    return [(problem.what, problem.index) for problem in report.problems]


def flipped(value, place):
    """The value with one bit changed; None if it would be no value of its type."""
    if isinstance(value, int):
        return value ^ (1 << place % 24)
    data = bytearray(value if isinstance(value, bytes) else value.encode())
    data[place % len(data)] ^= 1 << place % 8
    if isinstance(value, bytes):
        return bytes(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
