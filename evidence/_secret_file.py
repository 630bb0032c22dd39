"""Files that keep a secret: read with suspicion, made whole or not at all.

Bytes and a path come in, bytes go out. What a secret is stays with the caller: no message of this
module may show any of it, and a file that others than its owner can read is not used.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def keys_folder(data_dir: Path) -> Path:
    """data_dir/keys, there from now on and its owner's alone."""
    folder = data_dir / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def read(path: Path, what: str, limit_bytes: int) -> bytes:
    """The first `limit_bytes` of a secret file; `what` it holds is said in messages.

    Raises:
        FileNotFoundError: there is none.
        PermissionError: it cannot be read, or others than its owner can.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(limit_bytes)
    except PermissionError:
        raise PermissionError(
            errno.EACCES, f"reading the {what}: {path} is unreadable for this user: chown it"
        ) from None
    if mode & 0o077:
        raise PermissionError(
            errno.EACCES,
            f"reading the {what}: others may read {path} (mode {mode:o}): chmod 600 it",
        )
    return content


def create(path: Path, content: bytes) -> None:
    """Make a secret file, on the disk when this returns; one that is there stays as it is."""
    # A link, unlike a rename, does not replace the key of a process that was faster.
    with _written(path, content, 0o600) as temporary, suppress(FileExistsError):
        os.link(temporary, path)
    sync(path.parent)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put `content` where `path` is: after a crash it is all there, or what was there before."""
    with _written(path, content, mode) as temporary:
        move(temporary, path)


def move(source: Path, path: Path) -> None:
    """Put a file of the same folder in the place of `path`, on the disk when this returns."""
    source.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Names that were made or removed in the folder are on the disk from now on."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _written(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A file beside `path` that holds the content on the disk; gone at the end if still there."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
