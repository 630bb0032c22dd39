"""What is said where the topic cannot be read; the rest is in tests/stack/test_leaves.py."""

import asyncio
import socket

import pytest

from streams.kafka.leaves import read_leaves
from streams.kafka.settings import Kafka


def test_brokers_that_are_down():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        kafka = Kafka(brokers=[f"127.0.0.1:{taken.getsockname()[1]}"], prefix="t.")
        with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
            asyncio.run(read_leaves(kafka, {}))
