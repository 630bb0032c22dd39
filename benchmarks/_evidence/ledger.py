"""Durable entries a second, and entries checked a second, each beside bare loops on the same."""

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from benchmarks._evidence.batches import ENTRIES, FINDINGS, Batch, batches, write
from benchmarks._evidence.beside import Measure, Run, Watch, beside, goal, say
from evidence.signing import known_keys, load_signer
from evidence.store import EmbeddedStore
from evidence.verify.notes import Trust, read_key
from evidence.verify.store import check_store

ORIGIN = "breachline/bench/evidence"
SINGLE_BATCHES = 50
_Rows = list[tuple[str, bytes]]


def signed(folder: Path) -> EmbeddedStore:
    """A new durable store that signs a head at every commit."""
    store = EmbeddedStore.open(folder)
    store.ledger.sign_with(ORIGIN, [load_signer(folder, ORIGIN, create=True)])
    return store


def ledger(entries: int, rounds: int, home: Path) -> None:
    """The log, its tree and its heads beside the same bytes in one bare table, and in one file."""
    made = list(batches(entries // ENTRIES))
    few = made[:SINGLE_BATCHES]
    many_rows, single_rows = _rows(home / "rows", made, few)
    size = sum(len(body) for rows in many_rows for _, body in rows) / len(made) / 1024
    say(
        f"entries/s, durable: {entries:,} in transactions of {ENTRIES} with their lines "
        f"({size:.0f} KiB each), and {len(few) * FINDINGS} one a transaction"
    )

    def store(name: str, put: Callable[[EmbeddedStore], int]) -> Measure:
        def measure(number: int) -> Run:
            with signed(home / f"{name}{number}") as opened:
                return Watch.over(lambda: put(opened))

        return measure

    def table(name: str, rows: list[_Rows], entries: int) -> Measure:
        def measure(number: int) -> Run:
            with closing(_bare_table(home / f"{name}{number}.db")) as db:
                return Watch.over(lambda: _insert(db, rows, entries))

        return measure

    def file(name: str, rows: list[_Rows], entries: int) -> Measure:
        def measure(number: int) -> Run:
            with (home / f"{name}{number}.bytes").open("xb", buffering=0) as opened:
                return Watch.over(lambda: _append(opened.fileno(), rows, entries))

        return measure

    singles = len(single_rows)
    figures = beside(
        rounds,
        {
            "the log": store("log", lambda to: _batches(to, made)),
            "one bare table": table("table", many_rows, entries),
            "one bare file": file("file", many_rows, entries),
            "the log, singly": store("singly", lambda to: _singly(to, few)),
            "one bare table, singly": table("table-singly", single_rows, singles),
            "one bare file, singly": file("file-singly", single_rows, singles),
        },
    )
    goal("durable entries/s", figures.rate("the log"), 5_000)
    for more in ("", ", singly"):
        of_table, of_file = (
            figures.speed(f"the log{more}", f"one bare {what}{more}") for what in ("table", "file")
        )
        say(f"        the log{more} / a bare table {of_table:.2f}, / a bare file {of_file:.2f}")


def verify(entries: int, rounds: int, home: Path) -> None:
    """The check of a whole store beside a bare SHA-256 of the same leaves."""
    folder = home / "store"
    with signed(folder) as store:
        _batches(store, batches(entries // ENTRIES))
        leaves = [entry.leaf for entry in store.log.entries()]
    keys = [read_key(key.format()) for key in known_keys(folder)]
    say(f"entries/s checked: {entries:,}, a head each {ENTRIES}, with their lines")

    def check(_: int) -> Run:
        watch = Watch()
        report = check_store(folder, Trust(keys))
        run = watch.stop(report.entries)
        if not report.intact or report.entries != entries:
            raise RuntimeError(f"checking {folder}: {report.document()}")
        return run

    figures = beside(
        rounds,
        {
            "check of the store": check,
            "bare SHA-256 of its leaves": lambda _: Watch.over(lambda: _hash(leaves)),
        },
    )
    goal("entries/s checked", figures.rate("check of the store"), 50_000)
    share = figures.speed("check of the store", "bare SHA-256 of its leaves")
    say(f"        check of the store / bare SHA-256 of its leaves {share:.3f}")


def _batches(store: EmbeddedStore, made: Iterable[Batch]) -> int:
    for batch in made:
        write(store, batch)
    return store.ledger.size


def _singly(store: EmbeddedStore, made: Iterable[Batch]) -> int:
    for batch in made:
        for name, document in batch.findings:
            store.log.append("finding", name, batch.at_ms, name, document)
    return store.ledger.size


def _rows(folder: Path, made: list[Batch], few: list[Batch]) -> tuple[list[_Rows], list[_Rows]]:
    """What each transaction keeps as (id, bytes): of the batches, and of the single findings."""
    with EmbeddedStore.open(folder, durable=False) as store:
        _batches(store, made)
        entries = [(one.entry_id, one.payload or b"") for one in store.log.entries()]
    bodies = dict(entries)
    many = [
        entries[number * ENTRIES :][:ENTRIES] + [(line.event, line.data) for line in batch.lines]
        for number, batch in enumerate(made)
    ]
    return many, [[(name, bodies[name])] for batch in few for name, _ in batch.findings]


def _bare_table(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL)")
    return db


def _insert(db: sqlite3.Connection, transactions: list[_Rows], entries: int) -> int:
    for rows in transactions:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO entry (id, body) VALUES (?, ?)", rows)
        db.execute("COMMIT")
    return entries


def _append(handle: int, transactions: list[_Rows], entries: int) -> int:
    for rows in transactions:
        os.write(handle, b"".join(body for _, body in rows))
        os.fsync(handle)
    return entries


def _hash(leaves: list[bytes]) -> int:
    for leaf in leaves:
        sha256(b"\x00" + leaf).digest()
    return len(leaves)
