"""What the embedded service counts, from a log with an attack."""

import asyncio
from random import Random

from streams.clock import HandClock
from streams.live import Live, Outbox
from streams.live_meter import LiveMeter
from streams.metrics import Meters
from tests._events import action
from tests.streams.test_metrics import receipt, shown


def ran(attack, store, pipeline_on):
    clock = HandClock()
    pipeline = pipeline_on(store, event_time=False, performer=Outbox(store))
    clock.advance(pipeline.watermark_ms / 1000)
    meters = Meters()
    meter = LiveMeter(meters, pipeline, clock)
    live = Live(
        pipeline, store, None, [], clock, Random(1), watch=lambda _frame, step: meter.step(step)
    )
    asyncio.run(live.follow([str(attack)], once=True))
    return meters, meter, pipeline


def test_what_was_read_and_decided_is_counted(attack, store, pipeline_on):
    meters, _, pipeline = ran(attack, store, pipeline_on)
    tally = pipeline.tally
    assert shown(meters, "lines", "events", "rejected", "duplicate", "late", "findings") == {
        "lines_total": tally.lines,
        "events_total": tally.events,
        **{
            f"rejected_lines_total{{reason={reason}}}": count
            for reason, count in tally.rejected.items()
        },
        **{
            f"findings_total{{rule={found.rule},severity={found.severity}}}": 1
            for found in store.findings()
        },
    }
    assert tally.findings
    actions = shown(meters, "actions")
    assert sum(actions.values()) == len(list(store.log.actions())) > 0


def test_how_it_stands(attack, store, pipeline_on):
    meters, _, pipeline = ran(attack, store, pipeline_on)
    keys = {
        f"detector_keys{{rule={rule}}}": count
        for rule, count in pipeline.engine.keys.items()
        if count
    }
    waiting = len(store.outbox_due(2**62))
    assert shown(meters, "detector_keys", "outbox") == keys | {"outbox_waiting": waiting}
    assert waiting > 0


def test_receipts_are_counted(attack, store, pipeline_on):
    meters, meter, _ = ran(attack, store, pipeline_on)
    with store.transaction():
        store.log.append_intent(action())
        store.log.append_receipt(receipt())
        meter.receipt(receipt())
    assert shown(meters, "receipts")["receipts_total{kind=block_ip,state=confirmed}"] == 1
