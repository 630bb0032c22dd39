"""The never-block list as the configuration file has it at this moment, without a restart.

In: the file's path. Out: the entries when the file has changed since the last call. A file that is
wrong just now keeps the list that was last right: an edit half saved must not open the list.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from incidents.settings import NeverBlock
from streams.settings import ConfigError, load

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
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size
