"""The three stages of the worker without a broker: whatever happens to them, one judgement.

Logs are spread over partitions; tasks take turns in any order, commit when they like, are killed
and made anew from their journals. Must come out what one embedded pipeline says of the same lines.
Each partition begins with the lines from which the kind of ids is learned.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import orjson
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from evidence.keys import CredentialDigest
from evidence.store import EmbeddedStore
from streams.kafka.decide import Decide
from streams.kafka.detect import Detect
from streams.kafka.intake import Intake, Record
from streams.kafka.topics import Topics
from streams.lines import Frame
from streams.pipeline import Pipeline
from streams.settings import Settings
from streams.tables import read_tables
from tests.property.test_pipeline import CONFIG, as_asserted, as_claims, as_ecs, as_nginx, visits

LEARNED = 60
"""Lines from which it is learned what ids look like: everybody's own."""
NOW_MS = 1_795_400_000_000
"""When all is decided: the evening of the day of the logs."""
TABLES = read_tables(Settings.model_validate(CONFIG).intake)
DIGEST = CredentialDigest(b"k" * 32)


class Partition:
    """A log of records. Offsets have holes: markers of transactions, and what was aborted."""

    def __init__(self):
        self.records: list[Record] = []
        self.end = 0

    def append(self, value, headers=()):
        self.records.append(Record(self.end, value, headers))
        self.end += 1

    def after(self, offset, most):
        return [record for record in self.records if record.offset >= offset][:most]


class Topic(dict[int, Partition]):
    def __missing__(self, number):
        self[number] = made = Partition()
        return made


class Turns:
    """One task as tasks.py drives it: polls are worked bit by bit, commits come in between."""

    def __init__(self, make, source: Partition, brokers: dict[str, Topic]):
        self._make = make
        self._source = source
        self._brokers = brokers
        self.journal: list[bytes] = []
        self.kills = 0
        self.begin()

    def begin(self):
        """Made from the journal; what was not committed did not happen."""
        self.stage: Stage = self._make(self.journal)
        self._next = self.stage.position
        self._working: Iterator[None] | None = None
        self._until = self._next

    @property
    def idle(self):
        return self._working is None and self._next >= self._source.end

    def read(self, most, steps):
        """Work `steps` parts of a poll of `most` records; the rest of it comes later."""
        if self._working is None:
            records = self._source.after(self._next, most)
            self._until = records[-1].offset + 1 if records else self._source.end
            self._working = self.stage.work(records)
        for _ in range(steps):
            if next(self._working, self) is self:
                self._working, self._next = None, self._until
                return

    def commit(self, *, base=False):
        """Whether there was anything."""
        outputs, state = self.stage.gather(idle=self.idle)
        for output in outputs:
            part = self._brokers.setdefault(output.topic, Topic())[output.partition or 0]
            part.append(output.value, output.headers)
        for output in outputs:
            self._brokers[output.topic][output.partition or 0].end += 1
        if base and (outputs or state):
            self.journal[:] = self.stage.base()
        else:
            self.journal += state
        return bool(outputs or state)

    def kill(self, *, aborting):
        """Die, in the middle of a transaction if `aborting`: its records are not to be seen."""
        self.kills += 1
        if aborting:
            outputs, _ = self.stage.gather(idle=self.idle)
            for output in outputs:
                topic = self._brokers.setdefault(output.topic, Topic())
                topic[output.partition or 0].end += 1
        self.stage.close()
        self.begin()


class Stage:
    """What Turns asks of each of the stages."""

    def __init__(self, stage):
        self.stage = stage
        self._known: dict[tuple[str, str], bytes] = {}

    @property
    def position(self):
        return self.stage.position

    def close(self):
        pass

    def work(self, records):
        raise NotImplementedError

    def gather(self, *, idle):
        outputs = self.stage.collect(idle=idle)
        if not outputs:
            return [], []
        state = [msgspec.msgpack.encode(item) for item in self.stage.take_dirty()]
        self.note(state)
        return outputs, state

    def note(self, state):
        for item in state:
            space, key, value = msgspec.msgpack.decode(item)
            self._known[space, key] = value

    def known(self, journal):
        self.note(journal)
        found: dict[str, dict[str, bytes]] = {}
        for (space, key), value in self._known.items():
            if value:
                found.setdefault(space, {})[key] = value
        return found

    def base(self):
        return [msgspec.msgpack.encode((*place, value)) for place, value in self._known.items()]


class IntakeStage(Stage):
    def __init__(self, config, number, journal):
        super().__init__(Intake(config, TABLES, DIGEST, number))
        self.stage.load(self.known(journal))

    def work(self, records):
        return self.stage.take(records)


class DetectStage(Stage):
    def __init__(self, config, number, inputs, journal):
        super().__init__(Detect(config, number, inputs, 0.0))
        self.stage.load(self.known(journal), 0.0)

    def work(self, records):
        return self.stage.take(records, 0.0)

    def gather(self, *, idle):
        self.stage.judge(0.0)
        return super().gather(idle=idle)


class DecideStage(Stage):
    def __init__(self, config, folder, inputs, journal):
        super().__init__(Decide(config, folder, inputs, 0.0, journal))

    def work(self, records):
        return self.stage.take(records, 0.0, lambda: NOW_MS)

    def gather(self, *, idle):
        for _ in self.stage.decide(0.0, lambda: NOW_MS):
            pass
        return self.stage.collect()

    def base(self):
        return self.stage.base()

    def close(self):
        self.stage.close()


class Worker:
    """All tasks of a deployment, over topics in memory."""

    def __init__(self, folder, inputs, keys):
        kafka = {"brokers": ["127.0.0.1:9"], "partitions": keys}
        config = Settings.model_validate({**CONFIG, "kafka": kafka})
        names = self.names = Topics("breachline.")
        brokers = self.brokers = {name: Topic() for name in (names.raw, names.signals)}
        brokers[names.exposures] = Topic()
        self.raw = [brokers[names.raw][n] for n in range(inputs)]
        self.tasks = [
            Turns(lambda journal, n=n: IntakeStage(config, n, journal), self.raw[n], brokers)
            for n in range(inputs)
        ]
        self.tasks += [
            Turns(
                lambda journal, n=n: DetectStage(config, n, inputs, journal),
                brokers[names.signals][n], brokers,
            )
            for n in range(keys)
        ]  # fmt: skip
        self.tasks.append(
            Turns(
                lambda journal: DecideStage(config, folder, inputs, journal),
                brokers[names.exposures][0], brokers,
            )
        )  # fmt: skip

    def finish(self):
        """Let everything run to its end, and look that it gets there."""
        for _ in range(1_000):
            moved = False
            for task in self.tasks:
                moved |= not task.idle
                task.read(1_000, 1_000_000)
                moved |= task.commit()
            if not moved:
                return
        raise AssertionError("the tasks never come to rest")

    def values(self, topic):
        parts = self.brokers.get(topic, Topic()).values()
        return [record.value for part in parts for record in part.records]

    @property
    def decide(self):
        return self.tasks[-1].stage.stage

    def close(self):
        for task in self.tasks:
            task.stage.close()


@contextmanager
def worker(inputs, keys):
    with tempfile.TemporaryDirectory() as folder:
        made = Worker(Path(folder), inputs, keys)
        try:
            yield made
        finally:
            made.close()


def judgement(store, desk):
    """Who did what to whom, and what is done about it; names of events and incidents aside.

    An incident that another one absorbed was given out only if a batch ended between the two, and
    so was its capture: those that stand are compared, each captured by any of its names.
    """
    incidents = [one for one in store.incidents() if one.status != "closed"]
    actions = [(action.kind, action.target) for action in store.log.actions()]
    captured = {target for kind, target in actions if kind == "capture_evidence"}
    return {
        "findings": sorted((f.rule, str(f.actor), f.severity, f.users) for f in store.findings()),
        "affected": sorted(sorted(desk.impact(one.id).users) for one in incidents),
        "actions": sorted({pair for pair in actions if pair[0] != "capture_evidence"}),
        "captured": sum(not captured.isdisjoint({one.id, *one.merged}) for one in incidents),
    }


def embedded(lines):
    """What one pipeline says of lines by time, its first frame those from which it learns."""
    config = Settings.model_validate(CONFIG)
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedStore.open(Path(folder), durable=False) as store,
    ):
        pipeline = Pipeline(config, TABLES, store, DIGEST)
        offset = 0
        with store.transaction():
            for part in (lines[:LEARNED], *([line] for line in lines[LEARNED:])):
                data = b"".join(part)
                pipeline.take(Frame("a1b2c3d4e5f60718", "log", offset, data), NOW_MS)
                offset += len(data)
        return judgement(store, pipeline.desk)


def rendered(line, visited):
    """Lines by time, no two at once: only time says in which order two partitions' are."""
    calls = sorted((call for visit in visited for call in visit), key=lambda call: call[0])
    learned = [(f"203.0.113.{n}", f"u-{100 + n}") for n in range(LEARNED)]
    found = [line(n, ip, f"/users/{user}/profile", user) for n, (ip, user) in enumerate(learned)]
    last = 0
    for second, address, target, who, more in calls:
        last = max(second, last + 1)
        found.append(line(last, address, target, who, **more))
    return [text.encode() + b"\n" for text in found]


def spread(raw, lines, rng, *, framed):
    """Put lines into partitions, each after the first ones: as frames, or one line a message."""
    learned, rest = lines[:LEARNED], lines[LEARNED:]
    shares: list[list[bytes]] = [[] for _ in raw]
    for line in rest:
        rng.choice(shares).append(line)
    for number, (part, share) in enumerate(zip(raw, shares, strict=True)):
        if not framed:
            part.append(b"".join(learned).rstrip(b"\n"))
            for line in share:
                part.end += rng.random() < 0.1
                part.append(line.rstrip(b"\n"))
            continue
        source, offset = b"%016x" % number, 0
        parts = [learned]
        begin = 0
        while begin < len(share):
            end = begin + rng.randint(1, 12)
            parts.append(share[begin:end])
            begin = end
        for frame in parts:
            data = b"".join(frame)
            headers = [("source", source), ("name", b"log"), ("offset", b"%d" % offset)]
            # A collector that died before it heard the answer sends it again.
            for _ in range(2 if rng.random() < 0.1 else 1):
                part.append(data, headers)
            offset += len(data)


pytestmark = pytest.mark.stack
many = settings(max_examples=100)
DOES = ["read"] * 10 + ["commit"] * 5 + ["base", "die", "abort"]


@many
@given(
    st.sampled_from([as_ecs, as_asserted, as_claims, as_nginx]),
    st.lists(visits(), min_size=1, max_size=7), st.integers(1, 3), st.integers(1, 3), st.booleans(),
    st.integers(0, 400), st.integers(),
)  # fmt: skip
def test_spread_interleaved_and_killed(line, visited, inputs, keys, framed, turns, seed):
    rng = Random(seed)
    log = rendered(line, visited)
    with worker(inputs, keys) as running:
        spread(running.raw, log, rng, framed=framed)
        busy = running.tasks[0]
        for _ in range(turns):
            if rng.random() < 0.1:
                busy = rng.choice(running.tasks)
            task = busy if rng.random() < 0.5 else rng.choice(running.tasks)
            what = rng.choice(DOES)
            if what == "read":
                task.read(rng.randint(1, 20), rng.choice([1, 2, 3, 100]))
            elif what in {"commit", "base"}:
                task.commit(base=what == "base")
            else:
                task.kill(aborting=what == "abort")
        running.finish()
        decide, names = running.decide, running.names
        found = judgement(decide.store, decide.decider.desk)
        note(f"kills: {[task.kills for task in running.tasks]}")
        assert found == embedded(log)
        lines = len(log) + (inputs - 1) * LEARNED
        tally = decide.decider.tally
        assert (tally.events, tally.lines - tally.duplicate, tally.late) == (lines, lines, 0)
        findings = [orjson.loads(value)["event"]["id"] for value in running.values(names.findings)]
        assert sorted(findings) == sorted(finding.id for finding in decide.store.findings())
        leaves = [entry.leaf for entry in decide.store.log.entries()]
        assert running.values(names.ledger) == leaves
