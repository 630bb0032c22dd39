"""Heads of the log as others read them: C2SP tlog-checkpoint in a C2SP signed-note, Ed25519.

A checkpoint and signers come in, the text of a note goes out; and back, strictly, so that one head
has one spelling. That a note was parsed says nothing of its signatures: who trusts a key verifies.
It must never hold a private key.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_BYTES = 256 * 1024
MAX_SIGNATURES = 100
"""The format asks for at least 16, of up to 5 kB each; Go's reader stops at 100 as well."""

ED25519 = b"\x01"
"""The type of signature, in front of each encoded key."""

_MAX_SIZE = 2**63 - 1
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class Signs(Protocol):
    """What writes a signature line; `evidence.signing.Signer` is one."""

    @property
    def name(self) -> str:
        """The name of its key."""
        ...

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that choose among keys of one name."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature of a note's text."""
        ...


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key and its name: what others need to check a head."""

    name: str
    public: bytes
    """Ed25519, 32 bytes."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != 32:
            raise ValueError(f"key {self.name}: an Ed25519 key has 32 bytes, not these")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand for name and key in a signature."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def format(self) -> str:
        """The line `name+8 hex+base64` that C2SP and Go call a vkey."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that a vkey line holds.

        Raises:
            ValueError: it is no vkey, of another algorithm, or its id is not of this name and key.
        """
        doing = f"reading the public key {_shown(text)}"
        parts = text.split("+", 2)
        if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
            raise ValueError(f"{doing}: it is not NAME+8HEX+BASE64: copy the whole line again")
        name, key_id, encoded = parts
        data = _bytes(encoded, doing)
        if data[:1] != ED25519 or len(data) != 33:
            raise ValueError(f"{doing}: it is not an Ed25519 key, the only kind that is read")
        key = cls(check_name(name), data[1:])
        if key.key_id.hex() != key_id:
            raise ValueError(f"{doing}: its id is not that of its name and key: copy it again")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is of this key over exactly this message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log: after `size` leaves its tree has this root."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        check_name(self.origin)
        if not 0 <= self.size <= _MAX_SIZE:
            raise ValueError(f"checkpoint of {self.origin}: {self.size} is no number of leaves")
        if len(self.root) != 32:
            raise ValueError(f"checkpoint of {self.origin}: a root has 32 bytes, not this")

    @property
    def text(self) -> str:
        """The three lines that are signed, each with its newline."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


class Signature(msgspec.Struct, frozen=True):
    """One signature line of a note, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes


def note(checkpoint: Checkpoint, signers: Iterable[Signs]) -> str:
    """The signed note of a head, a line for each signer in the order given.

    Raises:
        ValueError: no signers, or one twice.
    """
    text = checkpoint.text
    lines: dict[tuple[str, bytes], str] = {}
    for signer in signers:
        key = check_name(signer.name), signer.key_id
        if key in lines:
            raise ValueError(f"signing a head of {checkpoint.origin}: {signer.name} signs twice")
        lines[key] = f"— {signer.name} {_base64(signer.key_id + signer.sign(text.encode()))}\n"
    if not lines:
        raise ValueError(f"signing a head of {checkpoint.origin}: no signer was given")
    return text + "\n" + "".join(lines.values())


def parse(text: str) -> tuple[Checkpoint, list[Signature]]:
    """The head and the signatures of a note, in its order; nothing is verified.

    `Checkpoint.text` is then exactly what was signed. Extension lines, which the format permits
    and advises against, are refused: no head of ours has any.

    Raises:
        ValueError: it is not such a note, with the reason.
    """
    doing = "reading a checkpoint"
    _check_characters(text, doing)
    body, blank, block = text.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise ValueError(f"{doing}: no signature lines after a blank line: the note is cut short")
    lines = body.split("\n")
    if len(lines) != 3:
        raise ValueError(f"{doing}: {len(lines)} lines before the blank line, not origin|size|root")
    origin, size, root = lines
    if not _SIZE.fullmatch(size):
        raise ValueError(f"{doing}: its size is {_shown(size)}: digits without leading zeros only")
    checkpoint = Checkpoint(check_name(origin), int(size), _bytes(root, f"{doing}: its root"))
    signatures = block.removesuffix("\n").split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise ValueError(f"{doing}: {len(signatures)} signatures, and {MAX_SIGNATURES} are read")
    return checkpoint, [_signature(line) for line in signatures]


def check_name(name: str) -> str:
    """The name of a key or log, if it is one: no white space, no plus, no control characters.

    Raises:
        ValueError: it is not.
    """
    allowed = name.isprintable() and not any(c.isspace() or c == "+" for c in name)
    if not name or not allowed:
        raise ValueError(
            f"the name {_shown(name)} of a key or log: it must not be empty, nor have white space, "
            "`+` or control characters: name it like breachline/default/evidence"
        )
    return name


def _check_characters(text: str, doing: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{doing}: it is not UTF-8") from None
    if size > MAX_BYTES:
        raise ValueError(f"{doing}: it has {size} bytes, and no note has over {MAX_BYTES}")
    if any(c < " " and c != "\n" for c in text):
        raise ValueError(f"{doing}: it has control characters: copy the note without changes")


def _signature(line: str) -> Signature:
    doing = f"reading the signature line {_shown(line)}"
    dash, name, encoded = parts if len(parts := line.split(" ")) == 3 else ("", "", "")
    if dash != "—":
        raise ValueError(f"{doing}: it is not an em dash, a name and base64, each after one space")
    data = _bytes(encoded, doing)
    if len(data) < 5:
        raise ValueError(f"{doing}: {len(data)} bytes are no key id and signature")
    return Signature(check_name(name), data[:4], data[4:])


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _bytes(encoded: str, doing: str) -> bytes:
    """Base64 in its one canonical spelling: another one of the same bytes would also verify."""
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    if not data or _base64(data) != encoded:
        raise ValueError(f"{doing}: {_shown(encoded)} is not base64 with its padding")
    return data


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:80] + "...")
