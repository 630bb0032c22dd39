"""What people change while the service runs: the never-block list, and the keys of issuers.

In: a file's path. Out: what it says, when it has changed since the last call. A file that is wrong
just now keeps what was last right: an edit half saved must not open the list or doubt all tokens.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from incidents.settings import NeverBlock
from intake.tokens import Verifier
from streams.settings import ConfigError, load
from streams.tables import read_keys

_log = logging.getLogger("breachline.reread")


class NeverBlockFile:
    """Called before each block is performed; costs one stat while nothing changes."""

    def __init__(self, path: Path | None, env: Mapping[str, str]) -> None:
        self._path = path
        self._env = env
        self._seen = self._stamp()

    def __call__(self) -> Sequence[NeverBlock] | None:
        """The list, if the file has changed since the last call and is right."""
        stamp = self._stamp()
        if self._path is None or stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return load(self._path, self._env, self._path.parent).settings.respond.never_block
        except ConfigError as error:
            _log.warning("the never-block list stays as it was: %s", "; ".join(error.problems))
            return None

    def _stamp(self) -> tuple[int, int] | None:
        return None if self._path is None else _stamp(self._path)


class KeysFile:
    """Called before lines are judged; costs one stat while nothing changes. Issuers change keys."""

    def __init__(self, path: Path | None, use: Callable[[Verifier], None]) -> None:
        """`use` is given the keys at the first call, and whenever the file has changed."""
        self._path = path
        self._use = use
        self._seen: tuple[int, int] | None = None

    def __call__(self) -> None:
        """Have the keys used, if the file has changed since the last call and is right."""
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._use(read_keys(self._path))
        except ValueError as error:
            _log.warning("the keys of issuers stay as they were: %s", error)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
