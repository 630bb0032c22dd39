"""A deployment on Kafka: as this machine knew it last, and one that answers orders."""

import json
from typing import Literal

from evidence.store import EmbeddedStore
from streams.kafka.decide import image
from streams.kafka.dispatch import Verdict
from streams.kafka.replica import FOLDER, Record, bring_up, understood
from streams.kafka.settings import Kafka
from tests._events import receipt

KAFKA = Kafka(brokers=["127.0.0.1:9"])
CONFIG = f"kafka: {json.dumps({'brokers': KAFKA.brokers})}\n"


def remember(data_dir, store_folder):
    """Put what a store holds where `--offline` finds it."""
    with EmbeddedStore.open_readonly(store_folder) as store:
        found = [Record(n, b"base", value, 0) for n, value in enumerate(image(store))]
    folder = data_dir / FOLDER / "cluster-1"
    folder.mkdir(parents=True)
    bring_up(folder, "cluster-1", KAFKA, lambda mark: understood(mark, 0, found, len(found)))


class Decider:
    """Takes orders in the place of the brokers and the worker behind them, and answers as told."""

    def __init__(self):
        self.given = []
        """(order, how long its giver waits)."""
        self.how: Literal["done", "refused", "trouble"] | None = "done"
        """None: nobody answers."""
        self.receipt = receipt(detail="blocked it")

    async def give(self, kafka, environ, order, timeout_s):
        assert kafka == KAFKA
        self.given.append((order, timeout_s))
        return None if self.how is None else Verdict(self.how, self.receipt)
