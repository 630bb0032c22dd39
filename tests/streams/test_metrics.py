"""What is counted, under which name; what labels may say."""

import pytest

from detectors.engine import Engine, Fault
from records.incident import Receipt
from streams.metrics import Meters
from tests._events import NOON_MS, action, finding
from tests.detectors._events import at

READ = at(0).user("a").read("b")


def shown(meters, *beginnings):
    """Sample -> value of all that is not zero, as Prometheus would store it."""
    found = {}
    for family in meters.registry.collect():
        for sample in family.samples:
            name = sample.name.removeprefix("breachline_")
            if sample.value and name.startswith(beginnings) and not name.endswith("_created"):
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                found[f"{name}{{{labels}}}" if labels else name] = sample.value
    return found


def receipt(state="confirmed", at_ms=NOON_MS + 3000, **given):
    return Receipt(action="act-1", state=state, at_ms=at_ms, point="gateway", detail="", **given)


def test_lines_are_counted_by_what_became_of_them():
    meters = Meters()
    for _ in range(2):
        meters.read(lines=10, events=6, late=1, duplicate=2, rejected={"not_json": 2})
    assert shown(meters, "lines", "events", "late", "duplicate", "rejected") == {
        "lines_total": 20,
        "events_total": 12,
        "late_events_total": 2,
        "duplicate_lines_total": 4,
        "rejected_lines_total{reason=not_json}": 4,
    }


def test_a_reason_that_a_shipper_made_up_is_no_label():
    meters = Meters()
    meters.read(lines=2, events=0, late=0, duplicate=0, rejected={"192.0.2.1": 1, "binary": 1})
    assert shown(meters, "rejected") == {
        "rejected_lines_total{reason=binary}": 1,
        "rejected_lines_total{reason=other}": 1,
    }


@pytest.mark.parametrize(
    ("now_ms", "seconds", "below"),
    [(NOON_MS + 1400, 0.4, "0.5"), (NOON_MS + 5_000_000, 4999, "+Inf"), (NOON_MS, 0, "0.05")],
    ids=["soon", "a backlog", "a clock that is ahead"],
)
def test_a_finding_is_timed_from_the_line_that_completed_it(now_ms, seconds, below):
    meters = Meters()
    meters.found([finding()], now_ms)
    counts = shown(meters, "findings", "line_to_finding_seconds")
    assert counts["findings_total{rule=identity_fanout,severity=high}"] == 1
    assert counts.get("line_to_finding_seconds_sum", 0) == pytest.approx(seconds)
    first = next(name for name in counts if "bucket" in name)
    assert first == f"line_to_finding_seconds_bucket{{le={below}}}"


def test_actions_are_counted_by_kind_and_mode():
    meters = Meters()
    meters.acted([action(mode="enforce"), *[action(mode="simulate")] * 2])
    assert shown(meters, "actions") == {
        "actions_total{kind=block_ip,mode=enforce}": 1,
        "actions_total{kind=block_ip,mode=simulate}": 2,
    }


BLOCKS = [
    ("confirmed", [receipt()], 2.0),
    ("confirmed again after a drift", [receipt(), receipt("drifted"), receipt(at_ms=0)], 2.0),
    ("not confirmed", [receipt("wanted"), receipt("failed"), receipt("expired")], None),
]


@pytest.mark.parametrize(("name", "receipts", "seconds"), BLOCKS)
def test_a_block_is_timed_once_it_is_confirmed(store, name, receipts, seconds):
    meters = Meters()
    with store.transaction():
        store.put_findings([finding(), finding("fin-0", end_ms=NOON_MS)])
        store.log.append_intent(action(findings=("fin-0", "fin-1")))
    for one in receipts:
        with store.transaction():
            store.log.append_receipt(one)
            meters.received(one, store)
    counts = shown(meters, "line_to_block_seconds", "receipts")
    assert counts.get("line_to_block_seconds_sum") == seconds
    assert counts.get("line_to_block_seconds_count") == (seconds and 1)
    assert sum(value for key, value in counts.items() if "receipts" in key) == len(receipts)


@pytest.mark.parametrize("given", [{"kind": "capture_evidence"}, {"findings": ()}])
def test_what_is_no_block_or_has_no_line_is_not_timed(store, given):
    meters = Meters()
    with store.transaction():
        store.put_findings([finding()])
        store.log.append_intent(action(**given))
        store.log.append_receipt(receipt())
        meters.received(receipt(), store)
    kind = given.get("kind", "block_ip")
    assert shown(meters, "line_to_block", "receipts") == {
        f"receipts_total{{kind={kind},state=confirmed}}": 1
    }


def test_a_receipt_of_no_action_is_passed_over(store):
    meters = Meters()
    meters.received(receipt(), store)
    assert shown(meters, "receipts") == {}


def engine(*seconds):
    made = Engine()
    made.seconds = {"canary": sum(seconds)}
    return made


def test_detectors_are_counted_by_what_came_since_the_last_look():
    meters, one = Meters(), engine(1.5)
    one.faults["canary"] = Fault(count=2)
    for _ in range(3):
        meters.judged("0", one)
    one.seconds["canary"] = 2.0
    meters.judged("0", one)
    meters.judged("1", engine(0.25))
    assert shown(meters, "detector") == {
        "detector_seconds_total{rule=canary}": 2.25,
        "detector_errors_total{rule=canary}": 2,
    }


def test_an_engine_that_is_made_anew_takes_nothing_away_and_loses_nothing():
    meters = Meters()
    meters.judged("0", engine(1.5))
    meters.judged("0", engine(2.0))
    assert shown(meters, "detector") == {"detector_seconds_total{rule=canary}": 3.5}


def test_every_name_has_our_prefix_a_meaning_and_its_unit():
    for family in Meters().registry.collect():
        assert family.documentation.endswith(".")
        assert family.name.startswith(("breachline_", "process_"))
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
