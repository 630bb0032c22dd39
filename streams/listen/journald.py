"""Lines that services write to this machine's journal, read through `journalctl`.

Units in; their messages as lines into the inbox. Where reading goes on after a restart is the
cursor of the last record that became durable, kept in a file; a record that is read again is told
by its cursor. It MUST NOT go ahead of what is durable, nor end because journalctl did.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from records.ids import digest
from streams.listen.inbox import Closed, Inbox, Parcel, identity
from streams.listen.settings import Journald

PROGRAM: Final = "journalctl"
_FIELDS: Final = "MESSAGE,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_MACHINE_ID,__CURSOR"
_AT_ONCE: Final = 2_000
_LONGEST: Final = 4 << 20
_AGAIN_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_STOP_S: Final = 2.0

_log = logging.getLogger("breachline.listen")


class JournaldListener:
    """`listen.journald:`."""

    def __init__(
        self, settings: Journald, inbox: Inbox, cursor_file: Path, program: str = PROGRAM
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._cursor_file = cursor_file
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def says(self) -> str:
        """What a person reads."""
        return f"the journal of {', '.join(self._settings.units)}"

    async def start(self) -> None:
        """See `Listener.start`."""
        self._process = await self._begin()
        self._task = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        """See `Listener.stop`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._end()

    async def _begin(self) -> asyncio.subprocess.Process:
        words = [self._program, "--output=json", f"--output-fields={_FIELDS}", "--all"]
        words += ["--no-pager", "--quiet", "--follow", "--lines=all"]
        words += [f"--unit={unit}" for unit in self._settings.units]
        if self._settings.directory is not None:
            words.append(f"--directory={self._settings.directory}")
        if cursor := self._cursor():
            words.append(f"--after-cursor={cursor}")
        try:
            return await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST,
            )
        except OSError as error:
            raise ValueError(
                f"reading {self.says}: {self._program}: {error.strerror}; install systemd, or "
                "remove listen.journald"
            ) from error

    def _cursor(self) -> str:
        try:
            return self._cursor_file.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""

    async def _follow(self) -> None:
        """Reads for as long as the inbox takes; begins again where journalctl ends."""
        wait_s = _AGAIN_S
        while True:
            try:
                if self._process is None:
                    self._process = await self._begin()
                if await self._read(self._process):
                    wait_s = _AGAIN_S
            except Closed:
                return
            except (OSError, ValueError) as error:
                _log.warning("reading %s: %s; trying again", self.says, error)
            await self._end()
            self._inbox.count("restarted", "journald")
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _read(self, process: asyncio.subprocess.Process) -> bool:
        """Until the program's output ends; whether anything was read.

        Raises:
            Closed: the inbox takes nothing more.
        """
        output = process.stdout
        if output is None:
            return False
        pending: list[bytes] = []
        read = False
        while True:
            record = await output.readline()
            if not record:
                return read
            read = True
            pending.append(record)
            # What has come already goes together: a commit for each record would be slow.
            while len(pending) < _AT_ONCE:
                try:
                    async with asyncio.timeout(0.01):
                        record = await output.readline()
                except TimeoutError:
                    break
                if not record:
                    break
                pending.append(record)
            cursor = await self._hand_on(pending)
            pending.clear()
            if cursor:
                self._keep(cursor)

    async def _hand_on(self, records: list[bytes]) -> str:
        """Returns the last record's cursor once all are durable."""
        by_source: dict[tuple[str, str], tuple[list[bytes], list[bytes]]] = {}
        last = ""
        for record in records:
            try:
                fields = orjson.loads(record)
            except ValueError:
                self._inbox.count("malformed", "journald")
                continue
            cursor = str(fields.get("__CURSOR", ""))
            last = cursor or last
            lines, identities = by_source.setdefault(_source(fields), ([], []))
            for number, line in enumerate(_message(fields).split(b"\n")):
                if line.strip():
                    lines.append(line)
                    identities.append(identity("journald", cursor, number) if cursor else b"")
        parcels = [
            Parcel(source, name, lines, identities)
            for (source, name), (lines, identities) in by_source.items()
            if lines
        ]
        if parcels:
            await self._inbox.put("journald", parcels, wait=True)
        return last

    def _keep(self, cursor: str) -> None:
        part = self._cursor_file.with_suffix(".part")
        part.write_text(f"{cursor}\n", encoding="ascii", errors="replace")
        part.replace(self._cursor_file)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(process.pid, 9)
            await process.wait()


def _source(fields: Mapping[str, Any]) -> tuple[str, str]:
    """(id, name) of the unit that wrote a record."""
    unit = str(fields.get("_SYSTEMD_UNIT") or fields.get("SYSLOG_IDENTIFIER") or "journal")
    machine = str(fields.get("_MACHINE_ID") or "")
    return digest("journald", machine, unit, length=16), f"journald {unit}"


def _message(fields: Mapping[str, Any]) -> bytes:
    """A record's message; journalctl writes what is no UTF-8 as a list of bytes."""
    message = fields.get("MESSAGE")
    if isinstance(message, list):
        return bytes(item & 255 for item in message if isinstance(item, int))
    return message.encode("utf-8", "surrogatepass") if isinstance(message, str) else b""
