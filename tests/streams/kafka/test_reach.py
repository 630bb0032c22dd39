"""Against sockets that are no brokers; tests/stack/ has the real ones."""

import asyncio
import contextlib
import socket

import pytest

from streams.kafka import reach as module
from streams.kafka.reach import Trouble, reach
from streams.kafka.settings import Kafka

TODO = "is it running, and is kafka.brokers right?"


@contextlib.asynccontextmanager
async def serving(answer):
    """A server that does that with each connection; its address."""
    opened = []

    async def connected(reader, writer):
        opened.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in opened:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def hang_up(reader, writer):
    await reader.read(1)
    writer.close()


async def web_page(reader, writer):
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def say_nothing(reader, writer):
    await reader.read()


OTHERS = [
    ("hangs up", hang_up, "refused", "it hangs up on us"),
    ("a web server", web_page, "refused", "it hangs up on us"),
    ("silent", say_nothing, "unreachable", "no answer within 0.2 s"),
]


@pytest.mark.parametrize(("name", "answer", "kind", "why"), OTHERS)
def test_what_is_no_broker(monkeypatch, name, answer, kind, why):
    monkeypatch.setattr(module, "_STEP_TIMEOUT_S", 0.2)

    async def story():
        async with serving(answer) as address:
            return address, await reach(Kafka(brokers=[address]), {})

    address, found = asyncio.run(story())
    assert isinstance(found, Trouble)
    assert (found.kind, found.says) == (kind, f"Kafka at {address}: {why}"), name


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (free_address(), "nothing listens there"),
        ("no-such-broker.invalid:9092", "the name is not known here"),
    ],
    ids=["nothing listens", "no such name"],
)
def test_what_is_not_there(address, why):
    found = asyncio.run(reach(Kafka(brokers=[address]), {}))
    assert found == Trouble("unreachable", f"Kafka at {address}: {why}", TODO)


def test_the_whole_look_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)

    async def story():
        async with serving(say_nothing) as one, serving(say_nothing) as other:
            return [one, other], await reach(Kafka(brokers=[one, other]), {})

    brokers, found = asyncio.run(story())
    assert found == Trouble(
        "unreachable", f"Kafka at {', '.join(brokers)}: no answer within 0.1 s", TODO
    )


def test_a_broker_that_refuses_says_more_than_one_that_is_down():
    async def story():
        async with serving(hang_up) as address:
            return address, await reach(Kafka(brokers=[free_address(), address]), {})

    address, found = asyncio.run(story())
    assert found == Trouble(
        "refused",
        f"Kafka at {address}: it hangs up on us",
        "add kafka.tls or kafka.sasl, or name another of its ports",
    )


def test_a_server_without_tls_is_told_from_one_that_is_down():
    async def story():
        async with serving(web_page) as address:
            return await reach(Kafka.model_validate({"brokers": [address], "tls": {}}), {})

    found = asyncio.run(story())
    assert isinstance(found, Trouble)
    assert (found.kind, found.do) == (
        "refused",
        "remove kafka.tls, or name the port that speaks TLS",
    )


@pytest.mark.parametrize(
    ("kind", "expected"), [("unreachable", ConnectionError), ("refused", PermissionError)]
)
def test_trouble_as_an_error(kind, expected):
    error = Trouble(kind, "it is late", "go home").error()
    assert (type(error), str(error)) == (expected, "it is late: go home")
