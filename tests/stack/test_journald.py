"""Lines out of a real journal, by the real journalctl, as they are written and after a restart."""

import asyncio
import subprocess

import pytest

from streams.listen.inbox import Inbox
from streams.listen.journald import JournaldListener
from streams.listen.settings import Journald
from tests.stack._debian import environment, program, unpacked
from tests.stack.conftest import or_skip

WRITER = ("systemd-journal-remote", "libmicrohttpd12", "libsystemd-shared")
READER = ("systemd", "libsystemd-shared")
WAIT_S = 60
ENTRY = """\
__REALTIME_TIMESTAMP={at}
__MONOTONIC_TIMESTAMP={at}
_BOOT_ID=00000000000000000000000000000001
_MACHINE_ID=00000000000000000000000000000002
_SYSTEMD_UNIT={unit}
MESSAGE={message}

"""


class Journal:
    """A folder of journal files, which journald's own code writes."""

    def __init__(self, folder):
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def write(self, *entries):
        text = "".join(
            ENTRY.format(at=1_795_341_600_000_000 + number, unit=unit, message=message)
            for number, (unit, message) in enumerate(entries, self._count)
        )
        self._count += len(entries)
        exported = self.folder.with_suffix(".export")
        exported.write_text(text)
        writer = program("systemd-journal-remote", *WRITER)
        out = self.folder / "system.journal"
        subprocess.run(
            [writer, "-o", str(out), str(exported)],
            check=True, capture_output=True, timeout=60, env=environment(unpacked(*WRITER)),
        )  # fmt: skip


@pytest.fixture
def journal(tmp_path):
    with or_skip("the real journal"):
        program("systemd-journal-remote", *WRITER)
        program("journalctl", *READER)
    return Journal(tmp_path / "journal")


async def taken(inbox, lines):
    found: list[bytes] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < lines:
            deliveries = inbox.take(1 << 20)
            found += [line for one in deliveries for p in one.parcels for line in p.lines]
            inbox.settle(deliveries)
            await asyncio.sleep(0.02)
    return found


def listen(journal, lines, meanwhile=None):
    """What a listener brings, begun anew where the last one ended."""

    async def case():
        inbox = Inbox(1 << 20)
        settings = Journald(units=["caddy.service"], directory=journal.folder)
        cursor = journal.folder.with_suffix(".cursor")
        listener = JournaldListener(settings, inbox, cursor, program("journalctl", *READER))
        await listener.start()
        try:
            found = await taken(inbox, lines)
            if meanwhile is not None:
                await asyncio.to_thread(meanwhile)
                found += await taken(inbox, 1)
            # What became durable is written down before the next record is taken.
            await asyncio.sleep(0.2)
            return found + await taken(inbox, 0)
        finally:
            inbox.close()
            await listener.stop()

    return asyncio.run(case())


def test_a_units_lines_once_each_over_a_restart(journal):
    journal.write(("caddy.service", "one"), ("other.service", "not asked for"))
    later = [("caddy.service", "two"), ("caddy.service", "three")]
    assert listen(journal, 1, lambda: journal.write(later[0])) == [b"one", b"two"]
    journal.write(later[1])
    assert listen(journal, 1) == [b"three"]
