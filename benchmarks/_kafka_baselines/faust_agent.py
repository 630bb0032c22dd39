"""A bare Faust agent, as its guide shows one: one line a message, decoded and counted."""

import faust

from benchmarks._kafka_baselines.count import arguments, counter


def main() -> None:
    given = arguments()
    app = faust.App(
        given.group,
        broker=f"kafka://{given.brokers}",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )
    lines = app.topic(given.topic)
    on_line = counter(given.total)

    @app.agent(lines)
    async def count(stream: faust.StreamT[bytes]) -> None:
        async for line in stream:
            on_line(line)

    app.finalize()
    faust.Worker(app, loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main()
