"""Runs a simulation: log, truth, affected users and a fitting configuration, into one folder.

In: sizes and a seed. Out: files, and the Truth. The log streams to disk a second at a time, so a
million lines need no more memory than a thousand. The same arguments write the same bytes.
"""

import gzip
import heapq
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from console.simulate.attacks import Attacker
from console.simulate.config import write_config
from console.simulate.lines import Format, Line, Request, line_of
from console.simulate.plan import kinds_for, plan_attacks
from console.simulate.traffic import Ordinary, staff_and_machines
from console.simulate.world import Ids, Principals, World, build_world

DEFAULT_RATE = 50.0
"""Lines a second where neither `rate` nor `lines` is given."""


@dataclass(frozen=True)
class Truth:
    """What really happened in a simulated log."""

    folder: Path
    log: Path
    lines: int
    start_ms: int
    end_ms: int
    attackers: tuple[Attacker, ...]

    @property
    def victims(self) -> dict[str, list[str]]:
        """Sorted unique victims by attacker id."""
        return {attacker.id: attacker.victims for attacker in self.attackers}


def simulate(
    out: Path,
    *,
    seed: int,
    start: datetime,
    users: int = 5000,
    minutes: float = 0,
    hours: float = 0,
    attackers: int = 10,
    attacks: Sequence[str] | None = None,
    office_users: int = 800,
    format: Format = "ecs",  # noqa: A002  the word that the command uses
    principals: Principals = "gateway",
    ids: Ids = "prefix",
    prefix: str = "/api/v1",
    rate: float | None = None,
    lines: int | None = None,
    attack_after: float = 0.05,
    compress: bool = False,
) -> Truth:
    """Write a labelled access log into the folder `out`, replacing an earlier simulation there.

    Files: access.log (access.log.gz with `compress`), labels.ndjson (line numbers of attacks),
    truth.json, affected/ATTACKER.txt (sorted unique victims), breachline.yaml, README.md, and
    people.csv where principals are `mapped`.

    `start` MUST be aware. The log covers `minutes` plus `hours` (one hour if neither is given)
    with `lines` lines in all, or `rate` a second. `attack_after` is the share of the time before
    the first attack may begin.

    Raises:
        ValueError: arguments that contradict each other, said with what to change.
    """
    seconds = round((minutes + hours * 60) * 60) or 3600
    _require(start.tzinfo is not None, f"start {start}: add a time zone, such as Z")
    _require(seconds >= 60, f"a log of {seconds} s: simulate at least one minute")
    _require(rate is None or lines is None, "both rate and lines are given: choose one")
    _require(attackers >= 0, f"{attackers} attackers: write 0 for an honest log")
    _require(0 <= attack_after <= 0.9, f"attack_after {attack_after}: write a share up to 0.9")
    total = lines if lines is not None else round((rate or DEFAULT_RATE) * seconds)
    _require(total > 0, f"a log of {total} lines: ask for at least one")

    world = build_world(
        _random(seed, "world"),
        users=users,
        office_users=office_users,
        ids=ids,
        principals=principals,
        prefix=prefix,
    )
    line = line_of(format)
    start_s = int(start.timestamp())
    start_ms, end_ms = start_s * 1000, (start_s + seconds) * 1000
    planned: list[Attacker] = []
    if attackers:
        planned = plan_attacks(
            world,
            _random(seed, "attacks"),
            kinds=kinds_for(format, world, attacks),
            attackers=attackers,
            start_ms=start_ms,
            end_ms=end_ms,
            earliest=attack_after,
        )
    others = staff_and_machines(
        world, _random(seed, "staff"), start_ms, end_ms, share=max(6, total // 25)
    )
    ordinary = Ordinary(world, _random(seed, "traffic"), line, per_second=total / seconds)

    out.mkdir(parents=True, exist_ok=True)
    for stale in ("access.log", "access.log.gz"):
        (out / stale).unlink(missing_ok=True)
    log = out / ("access.log.gz" if compress else "access.log")
    schedule = _Schedule(planned, others)
    pace = _Pace(total, seconds, _random(seed, "pace"))
    written = 0
    with _open_log(log, compress=compress) as sink, (out / "labels.ndjson").open("w") as labels:
        for second in range(start_s, start_s + seconds):
            text, marks = _one_second(second, schedule, pace, ordinary, line)
            sink.write("".join(text))
            for index, attacker in marks:
                labels.write(f'{{"line":{written + index + 1},"attacker":"{attacker}"}}\n')
            written += len(text)
    truth = Truth(out, log, written, start_ms, end_ms, tuple(planned))
    _write_truth(truth, world, seed=seed, format_=format)
    write_config(out, world, format_=format, seconds=seconds)
    return truth


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _random(seed: int, purpose: str) -> Random:
    """One stream of numbers a purpose, so that a change of one leaves the others as they were."""
    return Random(f"breachline {seed} {purpose}")


class _Schedule:
    """What happens at its own time, whatever the rate: attacks, staff, machines."""

    def __init__(self, attackers: Sequence[Attacker], others: Iterator[Request]) -> None:
        streams = [self._labelled(attacker) for attacker in attackers]
        streams.append((request, "") for request in others)
        self._merged = heapq.merge(*streams, key=lambda item: item[0].time_ms)
        self._next = next(self._merged, None)

    @staticmethod
    def _labelled(attacker: Attacker) -> Iterator[tuple[Request, str]]:
        return ((request, attacker.id) for request, _ in attacker.requests())

    def before(self, end_ms: int) -> list[tuple[Request, str]]:
        """What is due before `end_ms` and was not yet given, by time."""
        due = []
        while self._next is not None and self._next[0].time_ms < end_ms:
            due.append(self._next)
            self._next = next(self._merged, None)
        return due


class _Pace:
    """How many lines each second has: uneven as people are, and exact at the end."""

    def __init__(self, total: int, seconds: int, rng: Random) -> None:
        self._total = total
        self._seconds = seconds
        self._rng = rng
        self._passed = 0
        self._given = 0

    def ordinary(self, scheduled: int) -> int:
        """Lines of ordinary people beside `scheduled` others in the next second."""
        self._passed += 1
        goal = self._total * self._passed / self._seconds
        if self._passed < self._seconds:
            goal += (self._rng.random() - 0.5) * 0.6 * self._total / self._seconds
        count = max(0, int(goal) - self._given - scheduled)
        self._given += count + scheduled
        return count


def _one_second(
    second: int, schedule: _Schedule, pace: _Pace, ordinary: Ordinary, line: Line
) -> tuple[list[str], list[tuple[int, str]]]:
    """The lines of one second by time, and (index, attacker) of those that belong to attacks."""
    due = schedule.before((second + 1) * 1000)
    entries = [(ms, text, "") for ms, text in ordinary.second(second, pace.ordinary(len(due)))]
    stamp = line.second(second)
    for request, attacker in due:
        ms = request.time_ms - second * 1000
        text = line.render(
            stamp,
            ms,
            line.parts(request.client),
            request.method,
            request.path,
            request.status,
            request.size,
            ordinary.next_number(),
        )
        entries.append((ms, text, attacker))
    entries.sort()
    marks = [(index, entry[2]) for index, entry in enumerate(entries) if entry[2]] if due else []
    return [entry[1] for entry in entries], marks


@contextmanager
def _open_log(path: Path, *, compress: bool) -> Iterator[io.TextIOBase]:
    if not compress:
        with path.open("w", encoding="ascii", newline="\n", buffering=1 << 20) as plain:
            yield plain
        return
    # No name and no time in the header: the same log gives the same file.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="ascii", newline="\n") as text,
    ):
        yield text


def _write_truth(truth: Truth, world: World, *, seed: int, format_: Format) -> None:
    folder = truth.folder / "affected"
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("a*.txt"):
        stale.unlink()
    for attacker, victims in truth.victims.items():
        (folder / f"{attacker}.txt").write_text("".join(f"{user}\n" for user in victims))
    document = {
        "seed": seed,
        "format": format_,
        "principals": world.principals,
        "users": len(world.users),
        "lines": truth.lines,
        "start": _iso(truth.start_ms),
        "end": _iso(truth.end_ms),
        "attackers": [_described(attacker) for attacker in truth.attackers],
    }
    (truth.folder / "truth.json").write_text(json.dumps(document, indent=1) + "\n")


def _described(attacker: Attacker) -> dict[str, Any]:
    requests = list(attacker.requests())
    against = [request.time_ms for request, step in requests if step.owners]
    clients = [step.client for _, step in requests]
    return {
        "id": attacker.id,
        "kind": attacker.kind,
        "principal": attacker.principal,
        "account": attacker.account,
        "addresses": sorted({client.ip for client in clients}),
        "sessions": sorted({client.session for client in clients if client.session}),
        "requests": len(requests),
        "first": _iso(min(against)),
        "last": _iso(max(against)),
        "victims": attacker.victims,
        "attempted": attacker.attempted,
    }


def _iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
