"""A bare Quix Streams loop: one line a message, decoded and counted."""

from quixstreams import Application  # type: ignore[import-not-found]  # its own environment

from benchmarks._kafka_baselines.count import arguments, counter


def main() -> None:
    given = arguments()
    app = Application(
        broker_address=given.brokers,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
    )
    on_line = counter(given.total)
    lines = app.dataframe(app.topic(given.topic, value_deserializer="bytes"))
    lines.update(on_line)
    app.run()


if __name__ == "__main__":
    main()
