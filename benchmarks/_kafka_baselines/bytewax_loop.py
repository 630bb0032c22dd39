"""A bare Bytewax loop: one line a message, decoded and counted."""

from bytewax import operators  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]
from bytewax.connectors.stdio import StdOutSink  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.run import cli_main  # type: ignore[import-not-found]

from benchmarks._kafka_baselines.count import arguments, counter


def main() -> None:
    given = arguments()
    on_line = counter(given.total)

    def count(message) -> bool:
        on_line(message.value)
        return False

    flow = Dataflow("bare")
    source = KafkaSource([given.brokers], [given.topic], tail=True)
    # A flow must end in an output: nothing passes the filter.
    operators.output(
        "out", operators.filter("count", operators.input("in", flow, source), count), StdOutSink()
    )
    cli_main(flow)


if __name__ == "__main__":
    main()
