import asyncio
import contextlib
import socket
import ssl
import struct

import pytest

from streams.listen.inbox import Delivery, Inbox
from streams.listen.settings import Syslog
from streams.listen.syslog import SyslogListener
from tests.streams.listen._certificates import Authority
from tests.streams.listen._served import taken

ONE = b"<134>1 2026-11-22T10:00:00Z web-1 nginx - - - one"
TWO = b"<134>1 2026-11-22T10:00:01Z web-2 nginx - - - two"
WAIT_S = 20


@contextlib.asynccontextmanager
async def listening(inbox=None, **settings):
    """(listener, its port, inbox), on a free port."""
    inbox = inbox or Inbox(1 << 20)
    listener = SyslogListener(Syslog(address="127.0.0.1:0", **settings), inbox)
    await listener.start()
    try:
        yield listener, int(listener.says.rpartition(":")[2]), inbox
    finally:
        inbox.close()
        await listener.stop()


async def until(is_so):
    for _ in range(WAIT_S * 100):
        if is_so():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come about")


def said(deliveries):
    return [
        (parcel.name.partition(" ")[2].partition(" ")[2], line)
        for delivery in deliveries
        for parcel in delivery.parcels
        for line in parcel.lines
    ]


async def exchange(port, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(TWO + b"\n")
        return await reader.read()
    finally:
        writer.transport.abort()


def run(case):
    asyncio.run(case())


def test_datagrams():
    async def case():
        async with listening(protocol="udp") as (_, port, inbox):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for message in (ONE, TWO + b"\n", b"\n", b"<1>a\nb"):
                    sender.sendto(message, ("127.0.0.1", port))
            found = await taken(inbox, 3)
        lines = [line for _, line in said(found)]
        assert sorted(lines) == sorted([ONE, TWO, b"<1>a#012b"])
        assert {delivery.kind for delivery in found} == {"syslog"}

    run(case)


def test_datagrams_that_find_no_room_are_counted():
    async def case():
        async with listening(Inbox(1 << 10), protocol="udp") as (_, port, inbox):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for n in range(50):
                    sender.sendto(b"<1>%d " % n + b"x" * 1000, ("127.0.0.1", port))
                await until(lambda: inbox.held_bytes)
                sender.sendto(b"<1>one more", ("127.0.0.1", port))
                await until(lambda: inbox.counts().get(("dropped", "syslog")))
            assert inbox.held_bytes <= 51 * 1200

    run(case)


def test_a_stream_is_read_on_when_what_was_read_is_durable():
    async def case():
        async with listening(protocol="tcp") as (_, port, inbox):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"%d %s" % (len(ONE), ONE))
            found = await taken(inbox, 1)
            writer.write(TWO + b"\n")
            await writer.drain()
            await asyncio.sleep(0.2)
            assert inbox.take(1 << 20) == []
            inbox.settle(found)
            found += (second := await taken(inbox, 1))
            inbox.settle(second)
            writer.close()
        assert [line for _, line in said(found)] == [ONE, TWO]
        assert {name for name, _ in said(found)} == {
            "127.0.0.1:0 web-1/nginx",
            "127.0.0.1:0 web-2/nginx",
        }

    run(case)


def test_the_end_of_a_connection_ends_its_last_message():
    async def case():
        async with listening(protocol="tcp") as (_, port, inbox):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"<1>a\n<1>b")
            writer.write_eof()
            found: list[Delivery] = []
            while len(said(found)) < 2:
                found += (more := await taken(inbox, 1))
                inbox.settle(more)
            async with asyncio.timeout(WAIT_S):
                assert await reader.read() == b"", "both sides are closed"
            writer.close()
        assert [line for _, line in said(found)] == [b"<1>a", b"<1>b"]

    run(case)


def test_a_sender_that_breaks_off_leaves_what_it_sent():
    async def case():
        async with listening(protocol="tcp") as (listener, port, inbox):
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sender.sendall(ONE + b"\n")
                found = await taken(inbox, 1)
            inbox.settle(found)
            await until(lambda: not listener._connections)
        assert [line for _, line in said(found)] == [ONE]

    run(case)


def test_what_was_handed_on_is_waited_for_at_the_end():
    async def case():
        async with listening(protocol="tcp") as (listener, port, inbox):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ONE + b"\n")
            found = await taken(inbox, 1)
            ending = asyncio.ensure_future(listener.stop())
            await asyncio.sleep(0.05)
            assert not ending.done()
            inbox.settle(found)
            async with asyncio.timeout(WAIT_S):
                await ending
                assert await reader.read() == b""
            writer.close()

    run(case)


def test_tls_with_certificates_of_senders(tmp_path):
    authority = Authority(tmp_path)
    ours, theirs = authority.certify("ours"), authority.certify("theirs")
    trusting = ssl.create_default_context(cafile=authority.file)
    shown = ssl.create_default_context(cafile=authority.file)
    shown.load_cert_chain(theirs.certificate, theirs.key)

    async def case():
        async with listening(
            protocol="tls",
            certificate_file=ours.certificate,
            key_file=ours.key,
            ca_file=authority.file,
        ) as (_, port, inbox):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=shown)
            writer.write(ONE + b"\n")
            found = await taken(inbox, 1)
            inbox.settle(found)
            writer.close()
            # In TLS 1.3 a client learns only on reading that it was refused, if at all.
            with contextlib.suppress(OSError):
                assert await exchange(port, trusting) == b""
            assert inbox.take(1 << 20) == []
        assert [line for _, line in said(found)] == [ONE]

    run(case)


def test_an_address_that_is_taken_is_said():
    async def case():
        async with listening(protocol="tcp") as (_, port, inbox):
            other = SyslogListener(Syslog(address=f"127.0.0.1:{port}", protocol="tcp"), inbox)
            # Both may bind where addresses are reused; only one can listen.
            with pytest.raises((ValueError, OSError)):
                await other.start()

    run(case)
