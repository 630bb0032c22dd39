"""The keys that sign heads of the log: made, read and replaced, always outside the store.

A data directory and a name come in, a signer goes out. The private key stands in ledger.key (or
where the settings say), its owner's alone, in the form of Go's sumdb/note; every public key that
ever signed stands in ledger.pub, a vkey a line, the newest last. No message, log or record may
show any of a private key, and no key may be made silently for a log that already had one.
"""

import errno
import fcntl
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence import _secret_file
from evidence.checkpoint import ED25519, VerifierKey, check_name

KEY_FILE = "ledger.key"
PUBLIC_FILE = "ledger.pub"
_WHAT = "ledger key"
_LIMIT_BYTES = 4096


class Signer:
    """A private key that signs under its name, and shows nothing else of itself."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key = VerifierKey(name, private.public_key().public_bytes_raw())
        self.name = name
        self.key_id = self.key.key_id

    def __repr__(self) -> str:
        return f"Signer({self.key.format()!r})"

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""
        return self._private.sign(message)


def load_signer(data_dir: Path, name: str, *, key_file: Path | None = None, create: bool) -> Signer:
    """The signer of the log `name`, its public key in ledger.pub; the first is made if `create`.

    `name` is the origin of the log's heads, `breachline/NAMESPACE/LOG`. However many processes
    make the first key at once, all get the same.

    Raises:
        FileNotFoundError: there is no key, and not `create` or the log had one before.
        PermissionError: it cannot be read, or others than its owner can.
        ValueError: it is damaged, of another log, or was replaced before; or ledger.pub is damaged.
    """
    path = key_file or data_dir / "keys" / KEY_FILE
    check_name(name)
    known = [key for key in known_keys(data_dir) if key.name == name]
    try:
        signer = _read(path, name)
    except FileNotFoundError:
        _refuse_another(path, name, data_dir, known, create=create)
        _create(path, name, data_dir)
        signer = _read(path, name)
    if signer.key in known[:-1] and not _next(path).exists():
        raise ValueError(
            f"reading the {_WHAT}: {path} holds a key that was replaced since, says "
            f"{_public(data_dir)}: restore the key of its last line"
        )
    make_known(data_dir, signer.key)
    return signer


@contextmanager
def rotate(
    data_dir: Path, name: str, *, key_file: Path | None = None
) -> Iterator[tuple[Signer, Signer]]:
    """The signer so far and a new one: inside the `with`, publish a head that both have signed.

    When it ends well the new private key stands in the place of the old, which is gone. After an
    error or a crash before that the old one stays in use, and the next rotation goes on with the
    same new key. Both public keys stand in ledger.pub as soon as the `with` begins.

    Raises:
        BlockingIOError: another rotation is under way.
        OSError: the key's folder cannot be written.
        FileNotFoundError, PermissionError, ValueError: as `load_signer` for the key so far.
    """
    path = key_file or data_dir / "keys" / KEY_FILE
    with _alone(_secret_file.keys_folder(data_dir)):
        old = load_signer(data_dir, name, key_file=key_file, create=False)
        # The new key is kept before anything is signed with it: a crash must not lose it.
        _secret_file.create(_next(path), _encode(name, Ed25519PrivateKey.generate()))
        new = _read(_next(path), name)
        make_known(data_dir, new.key)
        yield old, new
        _secret_file.move(_next(path), path)


def known_keys(data_dir: Path) -> list[VerifierKey]:
    """Every public key in ledger.pub, of any name, the newest last; none if there is no file.

    Raises:
        ValueError: a line is no vkey.
    """
    path = _public(data_dir)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    keys = []
    for number, line in enumerate(lines, 1):
        try:
            keys.append(VerifierKey.parse(line))
        except ValueError as fault:
            raise ValueError(f"{path} line {number}: {fault}") from None
    return keys


def make_known(data_dir: Path, key: VerifierKey) -> None:
    """Write a public key to ledger.pub, if it is not there, for those who check what it signed.

    Raises:
        OSError: it cannot be written.
        ValueError: ledger.pub is damaged.
    """
    keys = known_keys(data_dir)
    if key not in keys:
        text = "".join(f"{known.format()}\n" for known in [*keys, key])
        path = _secret_file.keys_folder(data_dir) / PUBLIC_FILE
        _secret_file.replace(path, text.encode(), mode=0o644)


def _public(data_dir: Path) -> Path:
    return data_dir / "keys" / PUBLIC_FILE


def _next(path: Path) -> Path:
    """Where the new key stands until the old one has signed beside it."""
    return path.with_name(path.name + ".next")


def _refuse_another(
    path: Path, name: str, data_dir: Path, known: list[VerifierKey], *, create: bool
) -> None:
    doing = f"reading the {_WHAT}: {path} is missing"
    if known:
        # Were a new one made, removing a file would be enough to sign with another key.
        raise FileNotFoundError(
            errno.ENOENT,
            f"{doing}, and {_public(data_dir)} says that {name} had one: restore it from a backup; "
            f"if it is lost, move {_public(data_dir)} away, and give the new key to all who check",
        )
    if not create:
        raise FileNotFoundError(
            errno.ENOENT,
            f"{doing}: copy it from where the log was signed so far, or make the first with "
            "`breachline run` or `breachline evidence key create`",
        )


def _create(path: Path, name: str, data_dir: Path) -> None:
    _secret_file.keys_folder(data_dir)
    # A folder that the settings name may be shared: its permissions stay as they are.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _secret_file.create(path, _encode(name, Ed25519PrivateKey.generate()))


def _encode(name: str, private: Ed25519PrivateKey) -> bytes:
    key_id = Signer(name, private).key_id.hex()
    seed = b64encode(ED25519 + private.private_bytes_raw()).decode("ascii")
    return f"PRIVATE+KEY+{name}+{key_id}+{seed}\n".encode()


def _read(path: Path, name: str) -> Signer:
    # Errors here carry no part of the content, and no cause that does.
    text = _secret_file.read(path, _WHAT, _LIMIT_BYTES).decode("utf-8", "replace")
    signer = _decode(text.removesuffix("\n"))
    if signer is None:
        raise ValueError(
            f"reading the {_WHAT}: {path} is damaged, it is not PRIVATE+KEY+NAME+ID+BASE64 of an "
            "Ed25519 key: restore it from a backup"
        )
    if signer.name != name:
        raise ValueError(
            f"reading the {_WHAT}: {path} is the key of {signer.name}, and this log is {name}: "
            "correct ledger.namespace and ledger.log, or name another ledger.key_file"
        )
    return signer


def _decode(text: str) -> Signer | None:
    private, key, *rest = [*text.split("+", 4), ""]
    if (private, key, len(rest)) != ("PRIVATE", "KEY", 4):
        return None
    name, key_id, encoded, _ = rest
    try:
        data = b64decode(encoded, validate=True)
        check_name(name)
    except ValueError:
        return None
    if data[:1] != ED25519 or len(data) != 33:
        return None
    signer = Signer(name, Ed25519PrivateKey.from_private_bytes(data[1:]))
    return signer if signer.key_id.hex() == key_id else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise BlockingIOError(
                fault.errno, f"replacing the {_WHAT}: another rotation in {folder} is under way"
            ) from None
        yield
    finally:
        os.close(handle)
