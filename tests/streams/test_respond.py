import asyncio
import logging

import pytest

from records.incident import Guard
from responders.block_ip import BlockIp, gateway_client
from responders.capture_evidence import CaptureEvidence, CaptureResult
from responders.settings import GatewaySettings
from streams.clock import HandClock
from streams.respond import LEASE_MS, describe
from streams.token import token_reader
from tests._gateway import TOKEN
from tests._respond import (
    HOUR_MS,
    IP,
    NOW_MS,
    PASS,
    STORES,
    Scripted,
    block,
    intend,
    live,
    opened,
    respond,
    row,
    step,
    told,
)


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    with opened(request.param, tmp_path / "data") as made:
        yield made


# Performing


def test_blocks_then_lifts_when_its_time_ends(store, gateway):
    clock = HandClock(NOW_MS)
    intend(store, block())

    async def scenario():
        async with live(store, gateway, clock) as responding:
            assert await responding.step(clock.now_ms()) == 3600
            assert gateway.blocked == [IP]
            assert row(store).reason == f"blocked {IP}"
            clock.advance(3599)
            assert await responding.step(clock.now_ms()) == 1
            assert gateway.blocked == [IP]
            clock.advance(1)
            assert await responding.step(clock.now_ms()) is None

    asyncio.run(scenario())
    assert gateway.blocked == []
    assert told(store) == [("confirmed", f"blocked {IP}"), ("expired", f"lifted {IP}")]
    assert (row(store).state, row(store).reason) == ("done", f"lifted {IP}")
    assert gateway.keys == {"act-1": f"block {IP}", "act-1:undo": f"unblock {IP}"}


NOT_PERFORMED = [
    (
        "simulate",
        {"mode": "simulate"},
        PASS,
        "wanted",
        f"simulate: would block {IP} until 2026-11-22T11:00:00.000Z: SEV1: 12 users read",
        "done",
    ),
    (
        "simulate, refused",
        {"mode": "simulate", "guard": Guard("refuse", "head office")},
        PASS,
        "wanted",
        (
            f"simulate: would block {IP} until 2026-11-22T11:00:00.000Z, but it is refused: "
            "head office"
        ),
        "done",
    ),
    (
        "approval",
        {"mode": "approval"},
        PASS,
        "wanted",
        (
            f"would block {IP} until 2026-11-22T11:00:00.000Z once a person approves: "
            "SEV1: 12 users read"
        ),
        "approval",
    ),
    (
        "a guard asks a person",
        {"guard": Guard("approve", "4 innocent principals")},
        PASS,
        "wanted",
        (
            f"would block {IP} until 2026-11-22T11:00:00.000Z once a person approves: "
            "4 innocent principals"
        ),
        "approval",
    ),
    (
        "a guard refuses",
        {"guard": Guard("refuse", "trusted proxy")},
        PASS,
        "wanted",
        f"would block {IP} until 2026-11-22T11:00:00.000Z, but it is refused: trusted proxy",
        "done",
    ),
    (
        "never-block list read at performing",
        {},
        Guard("refuse", "head office, until 2027-01-01"),
        "wanted",
        (
            f"would block {IP} until 2026-11-22T11:00:00.000Z, but it is refused: "
            "head office, until 2027-01-01"
        ),
        "done",
    ),
    (
        "its time is over before it began",
        {"until_ms": NOW_MS},
        PASS,
        "expired",
        f"its time ended before it could block {IP} until 2026-11-22T10:00:00.000Z",
        "done",
    ),
    (
        "no address",
        {"target": "nonsense"},
        PASS,
        "failed",
        "cannot block nonsense until 2026-11-22T11:00:00.000Z: 'nonsense' is no address",
        "done",
    ),
]


@pytest.mark.parametrize(
    ("name", "given", "guard", "state", "words", "row_state"),
    NOT_PERFORMED,
    ids=[case[0] for case in NOT_PERFORMED],
)
def test_what_is_not_performed_is_recorded(store, name, given, guard, state, words, row_state):
    clock, responder = HandClock(NOW_MS), Scripted()
    intend(store, block(**given))
    responding = respond(store, responder, clock=clock, recheck=lambda *_: guard)
    assert step(responding, clock) is None
    assert step(responding, clock) is None
    assert told(store) == [(state, words)]
    assert (row(store).state, row(store).reason) == (row_state, words)
    assert responder.performed == []


def test_recheck_is_asked_with_the_action_and_the_time_of_performing(store):
    asked = []
    clock = HandClock(NOW_MS + 5)

    def recheck(action, now_ms):
        asked.append((action.id, now_ms))
        return PASS

    intend(store, block())
    step(respond(store, Scripted(), clock=clock, recheck=recheck), clock)
    assert asked == [("act-1", NOW_MS + 5)]


def test_evidence_is_captured_once(store):
    class Lines:
        def slices(self, incident_id):
            assert incident_id == "inc-1"
            yield CaptureResult(20, 0)
            yield CaptureResult(37, 0)

    clock = HandClock(NOW_MS)
    intend(store, block(kind="capture_evidence", target="inc-1", until_ms=0))
    assert step(respond(store, CaptureEvidence(Lines()), clock=clock), clock) is None
    assert told(store) == [("confirmed", "kept 37 lines, 0 could not be read back")]
    assert row(store).state == "done"


def test_without_an_enforcement_point_it_waits_and_says_so(store):
    clock = HandClock(NOW_MS)
    intend(store, block())
    wait_s = step(respond(store, clock=clock), clock)
    words = f"cannot {describe(block())}: no enforcement point is configured"
    assert told(store) == [("failed", words)]
    assert (row(store).state, row(store).reason) == ("waiting", words)
    clock.advance(wait_s)
    responder = Scripted()
    step(respond(store, responder, clock=clock), clock)
    assert responder.blocked == [IP]


# Time


def test_the_time_that_is_given_is_the_time_throughout(store):
    """An example is played in event time, years from the clock's."""
    clock, responder = HandClock(NOW_MS + 900 * 24 * HOUR_MS), Scripted()
    intend(store, block())
    responding = respond(store, responder, clock=clock)
    assert asyncio.run(responding.step(NOW_MS)) == 3600
    assert responder.blocked == [IP]
    assert [receipt.at_ms for receipt in store.log.receipts("act-1")] == [NOW_MS]
    assert asyncio.run(responding.step(NOW_MS + HOUR_MS)) is None
    assert responder.blocked == []


# By hand


def test_only_does_what_it_is_told_and_nothing_else(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    intend(store, block(), block("act-2", "198.51.100.9"))
    asyncio.run(respond(store, responder, clock=clock).only(["act-2"]))
    assert responder.blocked == ["198.51.100.9"]
    assert told(store) == []


def test_only_waits_for_a_loop_that_was_faster(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    intend(store, block())
    service, by_hand = (respond(store, responder, clock=clock) for _ in range(2))

    async def scenario():
        responder.hold = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(service.step(clock.now_ms()))
            while not responder.performed:  # noqa: ASYNC110  there is no event to wait for
                await asyncio.sleep(0)
            waiting = group.create_task(by_hand.only(["act-1"]))
            await asyncio.sleep(0)
            assert not waiting.done()
            responder.hold.set()

    asyncio.run(scenario())
    assert [state for state, _ in told(store)] == ["confirmed"]
    assert responder.performed == [("act-1", "present", 1)]


def test_only_does_not_wait_for_ever(store):
    """The faster loop died: its lease runs out, and `run` takes the action up."""
    clock, slept = HandClock(NOW_MS), []

    async def sleep(seconds):
        slept.append(seconds)

    with store.transaction():
        store.log.append_intent(block())
        store.outbox_add("act-1", NOW_MS + LEASE_MS)
    asyncio.run(respond(store, Scripted(), clock=clock, sleep=sleep).only(["act-1"]))
    assert len(slept) == LEASE_MS // 100
    assert told(store) == []


# Bounds and order


def test_performs_are_bounded_and_one_at_a_time_for_a_target(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    targets = [f"203.0.113.{n % 10}" for n in range(40)]
    intend(store, *(block(f"act-{n:02}", target) for n, target in enumerate(targets)))
    responding = respond(store, responder, clock=clock, batch=100)
    step(responding, clock)
    assert responder.most_at_once == 4
    assert sorted(responder.blocked) == sorted(set(targets))
    for target in set(targets):
        names = [name for name, _, _ in responder.performed if targets[int(name[4:])] == target]
        assert names == sorted(names)


def test_a_step_is_bounded_and_new_intents_go_before_retries(store):
    clock, responder = HandClock(NOW_MS), Scripted(*[1.0] * 16)
    intend(store, *(block(f"act-{n:02}", f"203.0.113.{n}") for n in range(20)))
    responding = respond(store, responder, clock=clock)
    assert step(responding, clock) == 0
    assert len(responder.performed) == 16
    clock.advance(10)
    step(responding, clock)
    assert [name for name, _, _ in responder.performed[16:20]] == [
        "act-16",
        "act-17",
        "act-18",
        "act-19",
    ]


def test_an_intent_that_is_missing_is_put_aside(store):
    clock = HandClock(NOW_MS)
    with store.transaction():
        store.outbox_add("act-lost", NOW_MS)
    assert step(respond(store, Scripted(), clock=clock), clock) is None
    assert row(store, "act-lost").reason == "there is no intent of this id"


def test_nothing_to_do(store):
    assert step(respond(store, Scripted()), HandClock(NOW_MS)) is None


def test_run_steps_and_sleeps_until_cancelled(store):
    clock, responder, slept = HandClock(NOW_MS), Scripted(), []

    async def sleep(seconds):
        slept.append(seconds)
        clock.advance(seconds)
        if clock.now_ms() > NOW_MS + HOUR_MS:
            raise asyncio.CancelledError

    intend(store, block())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(respond(store, responder, clock=clock, sleep=sleep).run(idle_s=600))
    assert slept == [600] * 7
    assert [want for _, want, _ in responder.performed] == ["present", "absent"]


# The token


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}\r\nX-Admin: 1", f"{TOKEN}ü", f"{TOKEN} two"])
def test_the_token_is_shown_nowhere(store, gateway, caplog, token):
    caplog.set_level(logging.DEBUG)
    clock = HandClock(NOW_MS)
    intend(store, block())
    seen = []

    async def scenario():
        settings = GatewaySettings(url=gateway.url, token_env="GATEWAY_TOKEN")
        read = token_reader(settings, {"GATEWAY_TOKEN": token})
        async with gateway_client(settings) as client:
            responder = BlockIp(settings, client, read)
            responding = respond(store, responder, clock=clock)
            seen.extend([repr(settings), repr(responder), repr(read), repr(responding)])
            seen.append(repr(responder.plan(block())))
            for trouble in ("401", "403", "404", "500", "reset", "not_http", "half", "nonsense"):
                gateway.trouble = trouble
                clock.advance(await responding.step(clock.now_ms()))
                seen.append(row(store).reason)

    asyncio.run(scenario())
    seen.extend(repr(receipt) for receipt in store.log.receipts("act-1"))
    # Every record that anything logged, with its arguments and its exception.
    seen.extend(repr(vars(record)) + record.getMessage() for record in caplog.records)
    assert len(seen) >= 14
    assert [text for text in seen if TOKEN in text] == []
    if token == TOKEN:
        assert f"Bearer {TOKEN}" in gateway.tokens
    else:
        assert gateway.tokens == []
