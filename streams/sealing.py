"""Opens stores for writing so that every commit which appends to the log signs it.

Settings come in, an open store goes out. While it is open, the key that it signs with cannot be
replaced. Nothing here reads or shows a private key: `evidence.signing` does.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from evidence.checkpoint import parse
from evidence.signing import Signer, load_signer, make_known
from evidence.store import EmbeddedStore
from streams.settings import Settings


def signer_of(settings: Settings, *, create: bool) -> Signer:
    """The key that this configuration signs with, made first if there is none and `create`.

    Raises:
        OSError, ValueError: as `evidence.signing.load_signer`, which say what to do.
    """
    ledger = settings.ledger
    return load_signer(settings.data_dir, ledger.origin, key_file=ledger.key_file, create=create)


@contextmanager
def open_signed(settings: Settings) -> Iterator[EmbeddedStore]:
    """The store of the data directory, for writing; every writer of it opens it with this.

    Raises:
        OSError, ValueError: the key or the store cannot be used, with what to do.
    """
    with _signing(settings) as signer, EmbeddedStore.open(settings.data_dir) as store:
        store.ledger.sign_with(settings.ledger.origin, [signer])
        yield store


@contextmanager
def open_scan(settings: Settings, out: Path) -> Iterator[EmbeddedStore]:
    """A new store for the result of a scan: a log of its own, signed by the same key.

    Raises:
        OSError, ValueError: the key or the store cannot be used, with what to do.
    """
    with _signing(settings) as signer, EmbeddedStore.open(out, durable=False) as store:
        # Under the live log's name, or another scan's, its heads would prove that log forked.
        store.ledger.sign_with(f"{settings.ledger.origin}/scan/{uuid4().hex}", [signer])
        # Whoever is given the result checks it, and what is exported from it, by this key.
        make_known(out, signer.key)
        yield store


@contextmanager
def open_result(settings: Settings, folder: Path) -> Iterator[EmbeddedStore]:
    """The store of a finished scan, to enter who read it; signed as its log was.

    Raises:
        OSError, ValueError: the store cannot be used, or was signed with another key than ours.
    """
    with (
        _signing(settings, create=False) as signer,
        EmbeddedStore.open(folder, durable=False) as store,
    ):
        head = store.ledger.head()
        checkpoint, signatures = parse(head.note) if head else (None, [])
        # Entries that no head is over, or only one by a key of another log, prove nothing.
        if checkpoint is None or signer.key_id not in {one.key_id for one in signatures}:
            raise ValueError(f"{folder} was not signed with the key of this data directory")
        store.ledger.sign_with(checkpoint.origin, [signer])
        yield store


@contextmanager
def _signing(settings: Settings, *, create: bool = True) -> Iterator[Signer]:
    """The signer; until this ends nobody rotates it."""
    signer_of(settings, create=create)
    folder = settings.data_dir / "keys"
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        # Between reading and locking another may have taken its place.
        yield signer_of(settings, create=False)
    finally:
        os.close(handle)
