"""Looks at everything that this configuration depends on, and says what to do where it fails.

In: settings, environment, time. Out: results. It changes nothing anywhere.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from console.fault import words
from console.listening import listening_results
from console.report import many
from console.result import Result
from console.standing import ledger_results
from evidence.keys import load_digest_key
from evidence.store import EmbeddedStore
from intake.ownership import Tables
from responders._base import Fault
from streams.enforcement import gateway_of
from streams.hints import hints
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, misfits, plans
from streams.owner_service import Said, Service, services
from streams.settings import Settings
from streams.tables import read_tables
from streams.tally import Tally

if TYPE_CHECKING:
    from streams.kafka.reach import Reach, Trouble

_LOW_DISK_BYTES = 1 << 30
_NO_OBJECT = "breachline-doctor"
"""Asked for to see whether a service answers."""


async def examine(settings: Settings, environ: Mapping[str, str], now_ms: int) -> list[Result]:
    """All results, in the order in which to mend them."""
    return [
        _tables(settings),
        *_data_dir(settings.data_dir),
        *ledger_results(settings),
        *_log(settings.data_dir),
        *listening_results(settings.listen, environ),
        await _gateway(settings, environ, now_ms),
        *await _owners(settings, environ, now_ms),
        *await _kafka(settings, environ),
        *await _elasticsearch(settings),
    ]


async def _elasticsearch(settings: Settings) -> list[Result]:
    if settings.elasticsearch is None:
        return []
    # Here, not above: nobody without Elasticsearch waits for its client to load.
    from console import elastic  # noqa: PLC0415

    return await elastic.examine(settings)


def _tables(settings: Settings) -> Result:
    try:
        tables = read_tables(settings.intake)
    except ValueError as error:
        return Result("configured files", "wrong", str(error), "mend the file, or its path")
    owners = sum(map(len, tables.owners.values()))
    return Result(
        "configured files",
        "ok",
        f"{len(tables.people):,} identities, {owners:,} owned objects, "
        f"{len(tables.grants):,} grants",
    )


def _data_dir(path: Path) -> Iterator[Result]:
    where = path if path.exists() else next(p for p in path.resolve().parents if p.exists())
    if not where.is_dir():
        yield Result("data directory", "wrong", f"{where} is a file", "move it, or --data-dir")
        return
    if not os.access(where, os.W_OK | os.X_OK):
        says = f"{path} cannot be written"
        yield Result("data directory", "wrong", says, "chown it, or --data-dir")
        return
    free = shutil.disk_usage(where).free
    state: Literal["ok", "note"] = "ok" if free >= _LOW_DISK_BYTES else "note"
    yield Result(
        "data directory",
        state,
        f"{path}, {free / 2**30:.1f} GiB free, SQLite {sqlite3.sqlite_version}",
        "" if state == "ok" else "make room: detection stops when the disk is full",
    )
    if not (path / "keys" / "digest.key").exists():
        yield Result("digest key", "note", "not there yet; the first scan or run creates it")
        return
    try:
        load_digest_key(path, create=False)
    except (OSError, ValueError) as error:
        yield Result("digest key", "wrong", words(error), "restore it from a backup")
    else:
        yield Result("digest key", "ok", f"{path}/keys/digest.key")


def _log(path: Path) -> Iterator[Result]:
    """What the logs that were read so far do not say."""
    if not (path / "breachline.db").exists():
        yield Result("store", "note", f"nothing was read into {path} yet")
        return
    try:
        with EmbeddedStore.open_readonly(path) as store:
            state = dict(store.load_state("runner"))
            names = {source.name for source in store.sources()}
    except FileNotFoundError:
        yield Result("store", "note", f"nothing was read into {path} yet")
        return
    except (OSError, ValueError) as error:
        yield Result("store", "wrong", words(error))
        return
    yield Result("store", "ok", f"{many(len(names), 'log')} followed")
    if tally := state.get("tally"):
        for hint in hints(msgspec.msgpack.decode(tally, type=Tally), frozenset(), {}):
            yield Result("the log", "note", hint.says, f"add: {hint.add}")


async def _gateway(settings: Settings, environ: Mapping[str, str], now_ms: int) -> Result:
    mode = settings.respond.mode
    async with gateway_of(settings, environ) as gateway:
        if gateway is None:
            return Result(
                "gateway",
                "note" if mode == "simulate" else "wrong",
                f"none is configured; mode {mode}",
                "" if mode == "simulate" else "set respond.gateway.url, or nothing can be blocked",
            )
        answer = await gateway.listed(now_ms)
    if not isinstance(answer, Fault):
        blocked = many(len(answer), "address", "addresses")
        return Result("gateway", "ok", f"answers, {blocked} blocked; mode {mode}")
    if answer.status in {404, 405}:
        return Result("gateway", "note", "has no list of blocks: they cannot be read back")
    state: Literal["wrong", "unreachable"] = "wrong" if answer.status else "unreachable"
    return Result("gateway", state, answer.detail)


async def _owners(settings: Settings, environ: Mapping[str, str], now_ms: int) -> list[Result]:
    """Asks each ownership service for an object that no service has."""
    results: list[Result] = []
    try:
        async with services(settings.intake, Tables(), environ) as found:
            for service in found:
                said = await service.ask([_NO_OBJECT], now_ms)
                results.append(_answered(service, said))
    except ValueError as error:
        results.append(Result("ownership", "wrong", str(error), "correct ca_file"))
    return results


def _answered(service: Service, said: Said) -> Result:
    trouble = said.trouble
    if trouble is None or trouble.objects_only:
        return Result("ownership", "ok", f"{service.host} answers for {service.route}")
    state: Literal["wrong", "unreachable"] = "unreachable" if trouble.passes else "wrong"
    todo = "until it answers, owners of its objects are pending"
    return Result("ownership", state, f"{service.route}: {trouble.says}", todo)


async def _kafka(settings: Settings, environ: Mapping[str, str]) -> list[Result]:
    kafka = settings.kafka
    if kafka is None:
        return []
    # Here, not above: nobody without Kafka waits for its client to load.
    from streams.kafka.reach import Trouble, reach  # noqa: PLC0415

    names = [plan.name for plan in plans(Topics(kafka.prefix), 1, 1)]
    try:
        found = await reach(kafka, environ, names)
    except ValueError as error:
        says, _, todo = str(error).rpartition(": ")
        return [Result("kafka", "wrong", says, todo)]
    return [_hindered(found)] if isinstance(found, Trouble) else list(kafka_results(kafka, found))


def kafka_results(kafka: Kafka, found: "Reach") -> Iterator[Result]:
    """What one look at the brokers means for this configuration."""
    clear = kafka.sasl is not None and kafka.sasl.mechanism == "PLAIN" and kafka.tls is None
    who = f", as {kafka.sasl.username}" if kafka.sasl else ""
    over = ", over TLS" if kafka.tls else ", the password in the clear" if clear else ""
    yield Result(
        "kafka",
        "note" if clear else "ok",
        f"{many(len(found.brokers), 'broker')} up, Kafka {found.release} or newer{who}{over}",
        "add kafka.tls, or use SCRAM-SHA-512" if clear else "",
    )
    yield from map(_hindered, found.silent)
    topics = Topics(kafka.prefix)
    yield from _topics(kafka, topics, found)
    yield _permission(kafka, topics, found)


def _hindered(trouble: "Trouble") -> Result:
    return Result(
        "kafka",
        "unreachable" if trouble.kind == "unreachable" else "wrong",
        trouble.says,
        trouble.do,
    )


def _topics(kafka: Kafka, topics: Topics, found: "Reach") -> Iterator[Result]:
    counts = {name: topic.partitions for name, topic in found.topics.items() if topic.partitions}
    for problem in misfits(kafka, topics, counts):
        says, _, todo = problem.partition(": ")
        yield Result("kafka topics", "wrong", says, todo)
    for name, topic in found.topics.items():
        if topic.leaderless:
            says = f"{many(topic.leaderless, 'partition')} of {name} without a leader"
            yield Result("kafka topics", "unreachable", says, "start the brokers that are down")
    # What may not even be seen is for `_permission` to say.
    missing = [name for name in found.topics if name not in counts and found.topics[name].may_read]
    if missing:
        says = f"{many(len(missing), 'topic')} not there yet: {', '.join(missing)}"
        todo = f"the first worker creates {'it' if len(missing) == 1 else 'them'}"
        todo += "" if found.may_create else ", if its user has Create there"
        yield Result("kafka topics", "note", says, todo)
    if counts:
        rows = f"{many(len(counts), 'topic')}, {many(sum(counts.values()), 'partition')}"
        yield Result("kafka topics", "ok", rows)


def _permission(kafka: Kafka, topics: Topics, found: "Reach") -> Result:
    """Workers read and write every topic, but for access.raw, which shippers write."""
    denied = list(found.denied)
    for name, topic in found.topics.items():
        lacks = [] if topic.may_read else ["Read"]
        lacks += [] if topic.may_write or name == topics.raw else ["Write"]
        denied += [f"{' and '.join(lacks)} on topic {name}"] if lacks else []
    if not denied:
        says = "may read and write the topics, and use the group and transactions"
        return Result("kafka permission", "ok", says)
    user = f"user {kafka.sasl.username}" if kafka.sasl else "this client"
    return Result(
        "kafka permission", "wrong", f"{user} lacks {'; '.join(denied)}", "allow it at the brokers"
    )
