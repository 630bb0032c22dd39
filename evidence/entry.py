"""One entry of the log, and the bytes that its leaf of the Merkle tree is made of.

A record goes in, canonical bytes and a salted digest come out: equal records give equal bytes on
any machine, and a leaf gives nothing away of what it stands for.
"""

import hashlib
import secrets
from typing import Literal

import msgspec

EntryKind = Literal[
    "intent", "receipt", "captured", "approval", "finding", "incident", "configuration", "export",
    "read", "hold", "release", "erasure", "key",
]  # fmt: skip
_SALT_BYTES = 16


class Entry(msgspec.Struct, frozen=True):
    """One entry: `payload` is canonical JSON (keys sorted, no white space, UTF-8)."""

    seq: int
    """Number of the leaf, counted from 1."""
    entry_id: str
    kind: EntryKind
    at_ms: int
    commitment: bytes
    """SHA-256 of salt, id, a line feed, and payload."""
    salt: bytes | None
    payload: bytes | None
    """None where it was erased."""

    @property
    def leaf(self) -> bytes:
        """What the Merkle tree is made of."""
        return leaf(self.kind, self.at_ms, self.commitment)


def leaf(kind: str, at_ms: int, commitment: bytes) -> bytes:
    """The canonical JSON of a leaf."""
    return f'{{"at":{at_ms},"commitment":"{commitment.hex()}","kind":"{kind}"}}'.encode()


def new_salt() -> bytes:
    """What keeps a leaf from being guessed; with it and the payload gone, the leaf says nothing."""
    return secrets.token_bytes(_SALT_BYTES)


def commit(salt: bytes, entry_id: str, payload: bytes) -> bytes:
    """The digest that binds an entry to its leaf without giving it away."""
    return hashlib.sha256(b"".join((salt, entry_id.encode(), b"\n", payload))).digest()


def canonical(record: object) -> bytes:
    """JSON with sorted keys and no white space: equal records give equal bytes, anywhere."""
    return msgspec.json.encode(record, order="sorted")
