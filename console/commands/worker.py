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
  breachline worker --config breachline.yaml --processes 4
  faust -A streams.app worker     (the same, with BREACHLINE_CONFIG)
"""


@click.command(epilog=_EXAMPLE)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes to share the work among; one uses one core. Metrics: a port each, in a row.",
)
@common
def command(processes: int, config: Path | None, data_dir: Path | None) -> int:
    """Take a share of the deployment's work: read, detect, decide, respond on Kafka.

    Any number of workers share the partitions; one that stops or dies is taken over by the others,
    who go on at exactly its next line. All need the same keys/digest.key and keys/ledger.key in
    their data directory.
    """
    # Here, not above: Faust takes a second to import, and no other command needs it.
    from streams.app import make, serve  # noqa: PLC0415
    from streams.herd import herd, number  # noqa: PLC0415

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for chatty in (
        "aiokafka",
        "elastic_transport",
        "faust",
        "mode",
        "httpx",
        "streams",
    ):  # the last is Faust's for us
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with refusing():
        worker = make(config, os.environ, data_dir)
        if processes == 1:
            worker.listen(number(os.environ))
            return 130 if asyncio.run(serve(worker)) == signal.SIGINT else 0
    words = [sys.executable, "-c", "from console.start import main; main()", "worker"]
    words += ["--config", str(config)] if config else []
    words += ["--data-dir", str(data_dir)] if data_dir else []
    try:
        ended = asyncio.run(herd(words, processes, os.environ))
    except ChildProcessError as fault:
        return fault.errno or 1  # it has said why
    return 130 if ended == signal.SIGINT else 0
