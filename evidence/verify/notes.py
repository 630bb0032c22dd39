"""Reads signed notes, checkpoints and public keys (C2SP), strictly, and checks signatures.

Text comes in; keys, heads and who signed them go out. One note has one spelling: a changed bit
must not read as the same. A note is trusted for its signatures only, never for being there.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LIMIT_BYTES = 1 << 20


class Key(msgspec.Struct, frozen=True):
    """A public key and what it is called."""

    name: str
    id: bytes
    public: bytes

    def __str__(self) -> str:
        """As a vkey."""
        encoded = b64encode(b"\x01" + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    def covers(self, origin: str) -> bool:
        """Whether it may sign heads of this log: its own, or one kept under its name."""
        return origin == self.name or origin.startswith(f"{self.name}/")


class Head(msgspec.Struct, frozen=True):
    """What a checkpoint says: after `size` leaves the tree of `origin` has this root."""

    origin: str
    size: int
    root: bytes


class Note(msgspec.Struct, frozen=True):
    """A text and its signatures, (name, id, signature) each, not yet checked."""

    text: str
    signatures: list[tuple[str, bytes, bytes]]


def read_key(text: str) -> Key:
    """The key of a vkey line.

    Raises:
        ValueError: it is none, or not Ed25519, or its id is not its own.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = _base64(encoded, "a public key")
    if not _NAME.fullmatch(name) or len(data) != 33 or data[0] != 1:
        raise ValueError(f"{text[:100]!r} is no public key: it has the form NAME+8HEX+BASE64")
    right = sha256(name.encode() + b"\n" + data).digest()[:4]
    if right.hex() != key_id:
        raise ValueError(f"{text[:100]!r} is a damaged public key: its id would be {right.hex()}")
    return Key(name, right, data[1:])


def read_keys(text: str) -> list[Key]:
    """The keys of a file, one a line.

    Raises:
        ValueError: a line is none.
    """
    return [read_key(line) for line in text.removesuffix("\n").split("\n")] if text else []


def read_note(text: str) -> Note:
    """A note's text and signatures.

    Raises:
        ValueError: it is no signed note.
    """
    if len(text) > _LIMIT_BYTES or any(c < " " and c != "\n" for c in text):
        raise ValueError("it has control characters, or is too long for a note")
    body, blank, block = text.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise ValueError("it has no signatures after a blank line")
    signatures = []
    for line in block[:-1].split("\n"):
        dash, name, encoded, *more = [*line.split(" "), "", ""]
        data = _base64(encoded, "a signature")
        if dash != "\u2014" or not _NAME.fullmatch(name) or len(data) != 68 or any(more):
            raise ValueError(f"{line[:100]!r} is no signature")
        signatures.append((name, data[:4], data[4:]))
    return Note(body + "\n", signatures)


def read_head(text: str) -> Head:
    """What a note's text says as a checkpoint.

    Raises:
        ValueError: it is none.
    """
    origin, size, root, *end = [*text.split("\n"), "", ""]
    if not _NAME.fullmatch(origin) or not _SIZE.fullmatch(size) or end != ["", "", ""]:
        raise ValueError("it is no checkpoint: that has three lines, origin, size and root")
    data = _base64(root, "its root")
    if len(data) != 32:
        raise ValueError("it is no checkpoint: its root has not 32 bytes")
    return Head(origin, int(size), data)


class Trust:
    """The keys that are trusted, those that are only known, and who signed what.

    A key that is only known is trusted as soon as it has signed a note together with a trusted
    one: so a key is replaced.
    """

    def __init__(self, trusted: Iterable[Key], known: Iterable[Key] = ()) -> None:
        self.trusted = set(trusted)
        self.known = {(key.name, key.id): key for key in (*known, *self.trusted)}
        self._public: dict[Key, Ed25519PublicKey] = {}
        self._first: dict[Key, str] = {}
        self._together: set[frozenset[Key]] = set()

    def check(self, note: Note, what: str) -> list[Key]:
        """The keys that have signed it; each line must be of a known one, and right.

        Raises:
            LookupError: a signature is of no known key.
        ValueError: one is wrong.
        """
        signers: list[Key] = []
        for name, key_id, signature in note.signatures:
            key = self.known.get((name, key_id))
            if key is None:
                raise LookupError(f"{what} is signed by {name} with key {key_id.hex()}")
            if key in signers or not self._is_right(key, signature, note.text.encode()):
                raise ValueError(f"{what}: the signature of key {key_id.hex()} is wrong")
            signers.append(key)
            self._first.setdefault(key, what)
        if len(signers) > 1:
            self._together.add(frozenset(signers))
        return signers

    def strangers(self) -> dict[Key, str]:
        """Keys that signed and are not to be trusted, each with what it signed first."""
        trusted, before = set(self.trusted), -1
        while len(trusted) != before:
            before = len(trusted)
            for group in self._together:
                if trusted & group:
                    trusted |= group
        return {key: what for key, what in self._first.items() if key not in trusted}

    @property
    def signers(self) -> list[Key]:
        """Keys that signed anything that was checked."""
        return list(self._first)

    def _is_right(self, key: Key, signature: bytes, message: bytes) -> bool:
        public = self._public.get(key)
        if public is None:
            public = self._public[key] = Ed25519PublicKey.from_public_bytes(key.public)
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _base64(encoded: str, what: str) -> bytes:
    """The bytes of base64 in its one spelling.

    Raises:
        ValueError: it is none.
    """
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    if not data or b64encode(data).decode() != encoded:
        raise ValueError(f"{encoded[:60]!r} is no base64: {what} was to be there")
    return data
