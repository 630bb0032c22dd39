"""A look-back for one actor over many events, beside a bare DuckDB count over the same files."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from benchmarks._evidence.beside import Measure, Run, Watch, beside, goal, say
from evidence._columns import schema
from evidence._segments import SegmentWriter, segments
from evidence.history import History
from records.event import Actor
from records.kinds import ActorType

ACTORS = 200_000
SEGMENT_ROWS = 250_000
"""As a running service cuts them: each actor is then in every one of them, once or twice."""
BYTES_AN_EVENT = 100
"""Twice what an event takes on the disk."""
_START_MS = 1_795_000_000_000
_STEP_MS = 50
_COUNT = "SELECT count(*) FROM events"
_SPREAD = 48_271
"""Without a common divisor with ACTORS: every 200,000 events in a row, each actor has one."""

# Six in ten actors are vouched for, two have a session only, two are no more than an address.
_EVENTS = """
SELECT
  'f3a91c0b5d7e2468ac13-' || printf('%x', n * 397) AS event,
  'f3a91c0b5d7e2468ac13' AS source, n * 397 AS "offset",
  make_timestamp_ms($start_ms + n * $step_ms)::TIMESTAMP_MS AS time,
  concat(198, '.', 18 + a // 65536, '.', a // 256 % 256, '.', a % 256) AS ip,
  'GET' AS method,
  concat('/api/v1/users/u-', lpad((a * 7 % 150000)::VARCHAR, 6, '0'), '/orders/', n) AS path,
  '/api/v1/users/{owner}/orders/{order}' AS route,
  200 AS status, 200 + n * 7919 % 4800 AS bytes, 'shop.example' AS host,
  concat('Mozilla/5.0 (X11; Linux x86_64) Chrome/', 120 + a % 11, '.0.0.0') AS user_agent,
  md5(n::VARCHAR) AS request_id,
  CASE WHEN a % 10 < 6 THEN 'u-' || lpad(a::VARCHAR, 6, '0') ELSE '' END AS principal,
  CASE WHEN a % 10 < 6 THEN 'gateway' ELSE '' END AS provenance,
  CASE WHEN a % 10 < 8 THEN 's' || left(md5(a::VARCHAR), 15) ELSE '' END AS session,
  '' AS claimed, '' AS tenant,
  ['u-' || lpad((a * 7 % 150000)::VARCHAR, 6, '0')] AS targets,
  n::VARCHAR AS object, 'contact' AS category, 'read' AS effect, 'proven' AS outcome,
  CASE WHEN a % 10 < 6 THEN 'own' ELSE 'undetermined' END AS verdict,
  '' AS allowed, false AS late
FROM (SELECT range AS n, range * $spread % $actors AS a FROM range($first, $end))
"""
_VOUCHED = "provenance IN ('gateway', 'verified')"
_KINDS: dict[ActorType, str] = {
    "principal": f"principal = ? AND {_VOUCHED}",
    "session": f"session = ? AND NOT {_VOUCHED}",
    "ip": f"ip = ? AND session = '' AND NOT {_VOUCHED}",
}
"""Whom a look-back may be for, and the same as a bare condition."""


def look_back(events: int, rounds: int, home: Path) -> None:
    """One for each kind of actor, all files in memory, on one core; the slowest counts."""
    needed, free = events * BYTES_AN_EVENT, shutil.disk_usage(home).free
    if free < needed:
        raise SystemExit(
            f"making {events:,} events in {home}: they need {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free: give fewer --events, or set TMPDIR to a larger disk"
        )
    folder = home / "history"
    started = time.perf_counter()
    actors = _make(folder, events)
    files = [folder / segment.name for segment in segments(folder)]
    size = sum(file.stat().st_size for file in files)
    say(
        f"seconds of a look-back over {events:,} events of {ACTORS:,} actors, warm, one core: "
        f"{len(files)} segments, {size / 1e9:.1f} GB, made in {time.perf_counter() - started:.0f} s"
    )
    for file in files:
        _read(file)
    with _one_core(), History(folder) as history, closing(_bare(files)) as db:

        def ours(actor: Actor, _: int) -> Run:
            run = Watch.over(lambda: sum(1 for _ in history.look_back(actor)))
            return _checked(run, actor, events)

        def bare(actor: Actor, _: int) -> Run:
            query = f"{_COUNT} WHERE {_KINDS[actor.type]}"
            run = Watch.over(lambda: int(db.execute(query, [actor.value]).fetchall()[0][0]))
            return _checked(run, actor, events)

        measured: dict[str, Measure] = {}
        for actor in actors:
            measured[f"look-back for one {actor.type}"] = partial(ours, actor)
            measured[f"bare count of its events, {actor.type}"] = partial(bare, actor)
        for measure in measured.values():
            measure(0)  # what is asked first also reads DuckDB itself from the disk
        figures = beside(rounds, measured, in_seconds=True)
    names = list(measured)
    pairs = list(zip(names[::2], names[1::2], strict=True))
    goal(
        "look-back, the slowest",
        max(figures.seconds(name) for name, _ in pairs),
        3,
        " s",
        most=True,
    )
    for name, other in pairs:
        times = 1 / figures.speed(name, other)
        say(f"        {name}: {times:.1f} times as long as the {other}")


def _make(folder: Path, events: int) -> list[Actor]:
    """Segments as the history's own writer makes them, of rows made by SQL; an actor a kind."""
    actors: list[Actor] = []
    with closing(duckdb.connect()) as db:
        # Arrow as the history's schema has it: large strings, large lists.
        db.execute("SET arrow_large_buffer_size = true")
        for first in range(0, events, SEGMENT_ROWS):
            given = {
                "start_ms": _START_MS,
                "step_ms": _STEP_MS,
                "spread": _SPREAD,
                "actors": ACTORS,
                "first": first,
                "end": min(first + SEGMENT_ROWS, events),
            }
            rows: Any = db.sql(_EVENTS, params=given).to_arrow_table()
            rows = rows.cast(schema())
            with SegmentWriter(folder) as writer:
                writer.add(rows)
                writer.finish()
            if not actors:
                # Not the first in any order.
                actors = _one_of_each(rows.slice(rows.num_rows // 3, 100).to_pylist())
    return actors


def _one_of_each(rows: list[dict[str, Any]]) -> list[Actor]:
    def answers(row: dict[str, Any]) -> ActorType:
        return "principal" if row["provenance"] else "session" if row["session"] else "ip"

    return [Actor(kind, next(row[kind] for row in rows if answers(row) == kind)) for kind in _KINDS]


def _bare(files: list[Path]) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"threads": 1})
    names = ", ".join(f"'{file}'" for file in files)
    db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{names}])")
    return db


def _checked(run: Run, actor: Actor, events: int) -> Run:
    # Some actors have one more, where the number of events is not a multiple.
    if not events // ACTORS <= run.amount <= events // ACTORS + 1:
        raise RuntimeError(f"looking back for {actor}: {run.amount} of about {events / ACTORS}")
    return run


def _read(file: Path) -> None:
    with file.open("rb", buffering=0) as opened:
        while opened.read(2**20):
            pass


@contextmanager
def _one_core() -> Iterator[None]:
    """On one core, whatever threads a library starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
