"""`breachline worker`: the Faust worker, the same stages on Kafka."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click

from console.options import common, refusing

_EXAMPLE = """\b
Examples:
  breachline worker --config breachline.yaml
  faust -A streams.app worker     (the same, with BREACHLINE_CONFIG)
"""


@click.command(epilog=_EXAMPLE)
@common
def command(config: Path | None, data_dir: Path | None) -> int:
    """Take a share of the deployment's work: read, detect, decide, respond on Kafka.

    Any number of workers share the partitions; one that stops or dies is taken over by the others,
    who go on at exactly its next line. All need the same keys/digest.key in their data directory.
    """
    # Here, not above: Faust takes a second to import, and no other command needs it.
    from streams.app import make, serve  # noqa: PLC0415

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for chatty in ("aiokafka", "faust", "mode", "httpx"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with refusing():
        worker = make(config, os.environ, data_dir)
        worker.listen()
    return 130 if asyncio.run(serve(worker)) == signal.SIGINT else 0
