"""Which key a deployment's log is signed with, and how its workers come to another one together.

The decider's store and the key files of its worker come in; signed heads go out. The log itself
names the key that counts: an entry that the old and the new key both signed. A worker that has not
that key must not sign, whoever owns the partition.
"""

from pathlib import Path

import msgspec

from evidence.signing import KEY_FILE, Signer, load_signer
from evidence.store import EmbeddedStore
from records.ids import digest
from streams.sealing import signer_of
from streams.settings import Settings


class _Replaced(msgspec.Struct):
    new: str


def sign(store: EmbeddedStore, settings: Settings) -> None:
    """Sign this store from now on, as its log asks for.

    Raises:
        OSError, ValueError: the key that it names last is not here, with what to do.
    """
    store.ledger.sign_with(settings.ledger.origin, [_signer(store, settings)])


def replace(
    store: EmbeddedStore, settings: Settings, vkey: str, *, by: str, why: str, at_ms: int
) -> None:
    """Have the new key sign, by an entry that both sign; done before, it is done.

    Raises:
        OSError, ValueError: this worker has not the new key, or not the one so far.
    """
    origin, old = settings.ledger.origin, _signer(store, settings)
    if old.key.format() == vkey:
        return
    new = _following(settings)
    if new is None or new.key.format() != vkey:
        raise ValueError(
            f"replacing the ledger key: the worker that decides has no {_next(settings).name} with "
            f"{vkey}: copy it, and ledger.pub, to the keys folder of every worker, and order it "
            "again"
        )
    store.ledger.sign_with(origin, [old, new])
    before = old.key.format()
    with store.transaction():
        document = {"old": before, "new": vkey, "by": by, "why": why}
        store.log.append("key", "key-" + digest(before, vkey), at_ms, origin, document)
    store.ledger.sign_with(origin, [new])


def _signer(store: EmbeddedStore, settings: Settings) -> Signer:
    own, named = signer_of(settings, create=False), ""
    for payload in store.log.payloads("key", settings.ledger.origin):
        named = msgspec.json.decode(payload, type=_Replaced).new
    if named in {"", own.key.format()}:
        return own
    new = _following(settings)
    if new is None or new.key.format() != named:
        raise ValueError(
            f"signing the log: its key was replaced by {named}, which this worker has not: copy "
            "keys/ledger.key and keys/ledger.pub from where it was replaced"
        )
    return new


def _next(settings: Settings) -> Path:
    """Where a new key stands until it has the place of the old."""
    path = settings.ledger.key_file or settings.data_dir / "keys" / KEY_FILE
    return path.with_name(path.name + ".next")


def _following(settings: Settings) -> Signer | None:
    try:
        return load_signer(
            settings.data_dir, settings.ledger.origin, key_file=_next(settings), create=False
        )
    except FileNotFoundError:
        return None
