"""The key under which credentials become digests, and the digest itself.

A data directory comes in, 32 secret bytes in a file of the owner's alone go out. Neither the key
nor a credential may stand in a message, a log or a record: what is kept of a token is its digest,
which is worthless without the key and equal wherever the key is.
"""

import errno
import hashlib
import secrets
from pathlib import Path

from evidence import _secret_file

SIZE_BYTES = 32
_DIGEST_BYTES = 12


def load_digest_key(data_dir: Path, create: bool) -> bytes:
    """The 32 bytes of data_dir/keys/digest.key, made first if there are none and `create`.

    However many processes create it at once, all get the same bytes.

    Raises:
        FileNotFoundError: there is none, and not `create`.
        PermissionError: it cannot be read, or others than its owner can.
        ValueError: it has not 32 bytes.
    """
    path = data_dir / "keys" / "digest.key"
    try:
        return _read(path)
    except FileNotFoundError:
        if not create:
            raise FileNotFoundError(
                errno.ENOENT,
                f"reading the digest key: {path} is missing: copy it from another worker (with "
                "another one, sessions get other ids), or make the first with `breachline run`, "
                f"or: (umask 077; mkdir -p {path.parent}; "
                f"head -c {SIZE_BYTES} /dev/urandom > {path})",
            ) from None
    _secret_file.create(
        _secret_file.keys_folder(data_dir) / path.name, secrets.token_bytes(SIZE_BYTES)
    )
    return _read(path)


def _read(path: Path) -> bytes:
    key = _secret_file.read(path, "digest key", SIZE_BYTES + 1)
    if len(key) != SIZE_BYTES:
        raise ValueError(
            f"reading the digest key: {path} must have {SIZE_BYTES} bytes: restore it from a "
            "backup, or remove it to begin with new session ids"
        )
    return key


class CredentialDigest:
    """Credential -> 24 hex digits of keyed BLAKE2b, the same wherever the key is the same."""

    def __init__(self, key: bytes) -> None:
        # Keyed BLAKE2b is a MAC by itself, and takes a quarter of HMAC-SHA256's time.
        self._begun = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)

    def __call__(self, value: str) -> str:
        """The digest of a credential."""
        digest = self._begun.copy()
        digest.update(value.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
