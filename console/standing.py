"""What a data directory says of its log: who signs it, where that is known, what is not indexed.

Settings come in, results go out. Only files of this machine are read, and nothing is changed: what
Elasticsearch itself says is asked elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from console.fault import words
from console.report import many
from console.result import Result
from evidence.checkpoint import parse
from evidence.signing import KEY_FILE, known_keys
from evidence.store import EmbeddedStore
from records.ids import iso
from streams.heads import told
from streams.sealing import signer_of
from streams.settings import Settings

_SHOWN = 5


def ledger_results(settings: Settings) -> Iterator[Result]:
    """The key, the newest head, and each place that was told of heads."""
    path = settings.ledger.key_file or settings.data_dir / "keys" / KEY_FILE
    try:
        known = known_keys(settings.data_dir)
        if not path.exists() and not known:
            yield Result("ledger key", "note", "not there yet; the first scan or run creates it")
        else:
            signer = signer_of(settings, create=False)
            says = f"{path}, mode {path.stat().st_mode & 0o777:o}, id {signer.key_id.hex()}"
            yield Result("ledger key", "ok", says)
    except (OSError, ValueError) as error:
        yield Result("ledger key", "wrong", words(error))
    if settings.kafka is None:
        with _store(settings) as store:
            if store is not None:
                yield from _heads(store)


def _heads(store: EmbeddedStore) -> Iterator[Result]:
    head, size = store.ledger.head(), store.log.last_seq
    if head is None:
        if size:
            says = f"{many(size, 'entry', 'entries')}, none of them signed"
            yield Result("ledger", "note", says, "the next `breachline run` signs them")
        return
    ids = ", ".join(one.key_id.hex() for one in parse(head.note)[1])
    yield Result("ledger", "ok", f"{many(head.size, 'entry', 'entries')} signed by {ids}")
    for name, at in told(store).items():
        last = f"told of {at.size:,} entries at {iso(at.at_ms)}" if at.size else "told of nothing"
        if at.trouble:
            yield Result(f"ledger, {name}", "wrong", f"{last}; {at.trouble}")
        else:
            yield Result(f"ledger, {name}", "ok", last)


def backlog_results(settings: Settings) -> Iterator[Result]:
    """What is not in Elasticsearch yet, why, and what will never be; nothing on Kafka.

    There the worker that decides knows it, and shows it as metrics.
    """
    if settings.elasticsearch is None or settings.kafka is not None:
        return
    # Here, not above: nobody without Elasticsearch waits for its client to load.
    from streams.projection import stand, undeliverable  # noqa: PLC0415

    with _store(settings) as store:
        if store is None:
            return
        at, last, aside = stand(store), store.log.last_seq, undeliverable(store)
    what = "elasticsearch backlog"
    waiting = f"{last - at.seq:,} of {many(last, 'entry', 'entries')} not indexed yet"
    if at.trouble:
        says = f"{waiting}, since {iso(at.since_ms)}, {many(at.attempts, 'attempt')}: {at.trouble}"
        yield Result(what, "wrong", says)
    elif at.seq < last:
        yield Result(what, "note", waiting, "it is caught up while `breachline run` runs")
    else:
        yield Result(what, "ok", f"none of {many(last, 'entry', 'entries')}")
    if aside:
        shown = "; ".join(f"{one.index}/{one.id}: {one.reason}" for one in aside[:_SHOWN])
        more = f"; and {len(aside) - _SHOWN:,} more" if len(aside) > _SHOWN else ""
        yield Result(
            "elasticsearch refused",
            "wrong",
            f"{many(len(aside), 'document')} for good: {shown}{more}",
            "mend the mapping (`breachline es setup`), then `breachline evidence rebuild --yes`",
        )


@contextmanager
def _store(settings: Settings) -> Iterator[EmbeddedStore | None]:
    """The store; None where there is none or it cannot be read, which is said elsewhere."""
    try:
        store = EmbeddedStore.open_readonly(settings.data_dir)
    except (OSError, ValueError):
        yield None
        return
    with store:
        yield store
