import asyncio
import json
import sys

import pytest

from streams.listen.inbox import Inbox, identity
from streams.listen.journald import JournaldListener
from streams.listen.settings import Journald
from tests.streams.listen._served import taken

pytestmark = pytest.mark.stack
WAIT_S = 20
JOURNALCTL = """\
#!{python}
# Prints the records that a test wrote, as journalctl does, and goes on following.
import json, pathlib, sys, time
records = pathlib.Path({records!r})
after = [word.partition("=")[2] for word in sys.argv if word.startswith("--after-cursor=")]
pathlib.Path({words!r}).open("a").write(json.dumps(sys.argv[1:]) + "\\n")
lines = records.read_text().splitlines()
cursors = [json.loads(line).get("__CURSOR") if line[:1] == "{{" else None for line in lines]
for line in lines[cursors.index(after[0]) + 1 if after else 0:]:
    print(line, flush=True)
if {ends}:
    sys.exit(1)
while True:
    time.sleep(1)
"""


@pytest.fixture
def journal(tmp_path):
    """Makes a listener of a journal with these records."""

    def make(records, *, ends=False):
        (tmp_path / "records").write_text("".join(f"{record}\n" for record in records))
        program = tmp_path / "journalctl"
        program.write_text(
            JOURNALCTL.format(
                python=sys.executable,
                records=str(tmp_path / "records"),
                words=str(tmp_path / "words"),
                ends=ends,
            )
        )
        program.chmod(0o755)
        inbox = Inbox(1 << 20)
        settings = Journald(units=["caddy.service", "api.service"])
        listener = JournaldListener(settings, inbox, tmp_path / "cursor", str(program))
        return listener, inbox

    return make


def record(cursor, message, unit="caddy.service"):
    return json.dumps(
        {"__CURSOR": cursor, "MESSAGE": message, "_SYSTEMD_UNIT": unit, "_MACHINE_ID": "m"}
    )


def lines_of(deliveries):
    return [
        (parcel.name, line)
        for delivery in deliveries
        for parcel in delivery.parcels
        for line in parcel.lines
    ]


async def until(path, text):
    for _ in range(WAIT_S * 100):
        if path.exists() and text in path.read_text():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{path} never held {text}")


def test_messages_of_units_are_lines_of_sources(journal, tmp_path):
    records = [
        record("c1", "one"),
        record("c2", "two\nthree\n", "api.service"),
        record("c3", [0xFF, 0x41]),
        "no record",
        record("c4", None),
        record("c5", "five"),
    ]

    async def case():
        listener, inbox = journal(records)
        await listener.start()
        try:
            found = await taken(inbox, 5)
            inbox.settle(found)
            await until(tmp_path / "cursor", "c5\n")
        finally:
            inbox.close()
            await listener.stop()
        caddy, api = "journald caddy.service", "journald api.service"
        assert sorted(lines_of(found)) == sorted(
            [(caddy, b"one"), (api, b"two"), (api, b"three"), (caddy, b"\xffA"), (caddy, b"five")]
        )
        identities = [i for one in found for parcel in one.parcels for i in parcel.identities]
        assert identity("journald", "c2", 1) in identities
        assert len(set(identities)) == 5
        assert inbox.counts()["malformed", "journald"] == 1

    asyncio.run(case())
    (words,) = map(json.loads, (tmp_path / "words").read_text().splitlines())
    assert "--unit=caddy.service" in words
    assert "--lines=all" in words


def test_it_goes_on_after_the_last_record_that_became_durable(journal, tmp_path):
    async def first():
        listener, inbox = journal([record("c1", "one")])
        await listener.start()
        inbox.settle(await taken(inbox, 1))
        await until(tmp_path / "cursor", "c1\n")
        await listener.stop()

    async def unsettled():
        listener, inbox = journal([record("c1", "one"), record("c2", "two")])
        await listener.start()
        assert [line for _, line in lines_of(await taken(inbox, 1))] == [b"two"]
        inbox.close()
        await listener.stop()

    async def again():
        listener, inbox = journal([record("c1", "one"), record("c2", "two")])
        await listener.start()
        assert [line for _, line in lines_of(await taken(inbox, 1))] == [b"two"]
        inbox.close()
        await listener.stop()

    for case in (first, unsettled, again):
        asyncio.run(case())


def test_a_journalctl_that_ends_is_begun_again(journal, tmp_path):
    async def case():
        listener, inbox = journal([record("c1", "one")], ends=True)
        await listener.start()
        inbox.settle(await taken(inbox, 1))
        await until(tmp_path / "words", "--after-cursor=c1")
        assert inbox.counts()["restarted", "journald"] >= 1
        inbox.close()
        await listener.stop()

    asyncio.run(case())


def test_a_machine_without_journalctl_says_so(tmp_path):
    async def case():
        listener = JournaldListener(
            Journald(units=["caddy.service"]),
            Inbox(1 << 16),
            tmp_path / "cursor",
            "no-such-program",
        )
        with pytest.raises(ValueError, match=r"no-such-program: .*; install systemd, or remove"):
            await listener.start()

    asyncio.run(case())
