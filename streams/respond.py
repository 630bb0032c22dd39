"""Performs intents: the only place that hands actions to responders.

In: outbox rows of the store, each of which names a durable intent. Out: receipts, rows moved on.
The row says when to look at an action, the log says how it stands. The intent is durable before
the effect and the receipt after it; a row is leased while its effect is under way, so that a crash
or a second loop finds it again and reads back before it repeats.
It must never decide whether to act (that is policy's), nor raise for an enforcement point's fault.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from random import Random
from typing import Literal, Protocol

import msgspec

from records.ids import iso
from records.incident import Action, Guard, Receipt
from records.kinds import ActionKind, ReceiptState
from responders._base import SLOW_S, Fault, Plan, Responder, failed
from streams.approvals import approved
from streams.clock import Clock

RowState = Literal["waiting", "approval", "done"]

QUICK_CAP_S = 60.0
SLOW_CAP_S = 300.0
LEASE_MS = 30_000
"""Longer than the longest perform: three calls of GatewaySettings.timeout, 8 s at most."""
FOREVER_MS = 2**62

_log = logging.getLogger("breachline.respond")


class OutboxRow(Protocol):
    """Where the attempts to perform, and later to undo, one action stand."""

    @property
    def action(self) -> str:
        """The intent's id."""
        ...

    @property
    def attempts(self) -> int:
        """Attempts begun; the last of them may have had its effect unseen."""
        ...

    @property
    def next_attempt_ms(self) -> int:
        """When it is due; until then it is left alone."""
        ...


class ActionLog(Protocol):
    """The append-only table of intents and receipts."""

    def action(self, action_id: str) -> Action | None:
        """An intent, None if there is none of this id."""
        ...

    def receipts(self, action_id: str) -> Iterable[Receipt]:
        """Those of one action, oldest first."""
        ...

    def append_receipt(self, receipt: Receipt) -> object:
        """Append, within the open transaction."""
        ...


class Store(Protocol):
    """What Respond needs of evidence.store.EmbeddedStore."""

    @property
    def log(self) -> ActionLog:
        """Intents and receipts."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, durable when left, and without other writers meanwhile."""
        ...

    def outbox_due(self, now_ms: int) -> Sequence[OutboxRow]:
        """Waiting rows whose next_attempt_ms <= now_ms."""
        ...

    def outbox_update(
        self, action_id: str, *, state: RowState, attempts: int, next_attempt_ms: int, reason: str
    ) -> None:
        """Move one row on."""
        ...


class _Verdict(msgspec.Struct, frozen=True):
    """What becomes of an action without asking an enforcement point."""

    receipt: ReceiptState
    row: RowState
    words: str


class _Job(msgspec.Struct, frozen=True):
    """A leased row: what to perform, and how to know that the lease is still ours."""

    action: Action
    responder: Responder
    plan: Plan
    attempt: int
    lease_until_ms: int


def describe(action: Action) -> str:
    """What the action does, as the end of "would ..."."""
    verb = "block" if action.kind == "block_ip" else action.kind.replace("_", " ")
    until = f" until {iso(action.until_ms)}" if action.until_ms else ""
    return f"{verb} {action.target}{until}"


def standing(receipts: Iterable[Receipt]) -> Literal["none", "there", "ending"]:
    """How an action's effect stands: not seen there, confirmed, or asked to be lifted."""
    mark: Literal["none", "there", "ending"] = "none"
    for receipt in receipts:
        if receipt.state == "expired":
            mark = "none"
        elif receipt.state == "confirmed":
            mark = "there"
        elif (receipt.state, receipt.read_back) == ("wanted", "absent"):
            mark = "ending"
    return mark


class Respond:
    """Performs what is due, at most `concurrent` at a time, and one at a time for each target."""

    def __init__(
        self,
        store: Store,
        responders: Iterable[Responder],
        *,
        recheck: Callable[[Action, int], Guard],
        clock: Clock,
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_receipt: Callable[[Receipt], None] = lambda _: None,
        durable: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
        lease_ms: int = LEASE_MS,
        concurrent: int = 4,
        batch: int = 16,
    ) -> None:
        """`recheck` is asked at performing, and MUST read the never-block list anew.

        `on_receipt` is called inside the receipt's transaction; `durable` is awaited before an
        effect, where a transaction does not outlive the machine; `batch` bounds a step.
        """
        self._store = store
        # Intents never change, and every active one is looked at for each block.
        self._action = lru_cache(65_536)(store.log.action)
        self._responders: dict[ActionKind, Responder] = {r.kind: r for r in responders}
        self._recheck = recheck
        self._clock = clock
        self._random = random
        self._sleep, self._durable = sleep, durable
        self._on_receipt = on_receipt
        self._lease_ms = lease_ms
        self._concurrent = concurrent
        self._batch = batch

    async def run(self, idle_s: float = 1.0) -> None:
        """Step until cancelled; looks for new intents every `idle_s`."""
        while True:
            wait_s = await self.step(self._clock.now_ms())
            await self._sleep(min(idle_s, idle_s if wait_s is None else wait_s))

    async def step(self, now_ms: int) -> float | None:
        """Do what is due, and return the seconds to the next due thing, None if there is none.

        `now_ms` is the time throughout, and goes on from there by the clock: it may be event time.
        MUST NOT be called inside a transaction of the store.

        Raises:
            ExceptionGroup: the store or `recheck` failed; no effect is had without its intent.
        """
        ahead_ms = now_ms - self._clock.now_ms()

        def now() -> int:
            return self._clock.now_ms() + ahead_ms

        # What was never tried goes first: a backlog of retries must not hold up a new block.
        due = sorted(
            self._store.outbox_due(now_ms), key=lambda row: (row.attempts > 0, row.next_attempt_ms)
        )
        lanes: defaultdict[str, list[tuple[bool, str]]] = defaultdict(list)
        for row in due[: self._batch]:
            action = self._action(row.action)
            # Blocks before lifts: an address that one action still wants is not opened between.
            lanes[action.target if action else row.action].append(
                (self._standing(row.action) != "none", row.action)
            )
        slots = asyncio.Semaphore(self._concurrent)
        async with asyncio.TaskGroup() as group:
            for lane_rows in lanes.values():
                group.create_task(self._walk([name for _, name in sorted(lane_rows)], slots, now))
        next_ms = min((row.next_attempt_ms for row in self._waiting()), default=None)
        return None if next_ms is None else max(0.0, (next_ms - now()) / 1000)

    def lift(self, target: str, now_ms: int, why: str) -> list[str]:
        """Have every effect on `target` undone at the next step; returns the ids of the actions."""
        lifted = []
        with self._store.transaction():
            for row in self._waiting():
                action = self._action(row.action)
                if action and action.target == target and action.until_ms:
                    self._wish(action, why, now_ms)
                    self._move(action.id, "waiting", row.attempts, now_ms, f"to be lifted: {why}")
                    lifted.append(action.id)
        return lifted

    async def only(self, action_ids: Iterable[str]) -> None:
        """Do these now, and return once each was tried, here or by a loop that was faster."""
        for action_id in action_ids:
            said = self._receipts(action_id)
            patience = 0 if await self._attend(action_id, self._clock.now_ms) else self._lease_ms
            while patience > 0 and self._receipts(action_id) == said:
                await self._sleep(0.1)
                patience -= 100

    async def _walk(
        self, action_ids: list[str], slots: asyncio.Semaphore, now: Callable[[], int]
    ) -> None:
        for action_id in action_ids:
            async with slots:
                await self._attend(action_id, now)

    async def _attend(self, action_id: str, now: Callable[[], int]) -> bool:
        """Perform one action that is due; False where there was nothing to perform."""
        job = self._take(action_id, now())
        if job:
            await self._durable()
            receipt = await self._perform(job, now())
            self._settle(job, receipt, now())
        return job is not None

    def _take(self, action_id: str, now_ms: int) -> _Job | None:
        """In one transaction: lease the row, or settle it where no effect is needed."""
        with self._store.transaction():
            rows = self._waiting()
            row = next((row for row in rows if row.action == action_id), None)
            if row is None or row.next_attempt_ms > now_ms:  # another loop was faster
                return None
            action = self._action(action_id)
            if action is None:
                self._move(action_id, "done", row.attempts, 0, "there is no intent of this id")
                return None
            lift = self._standing(action_id) != "none"
            stop = None if lift else self._stop(action, now_ms)
            if stop and not row.attempts:
                self._close(action, stop, 0, now_ms)
                return None
            planned = self._plan(action, lift=lift or stop is not None)
            if isinstance(planned, _Verdict):
                final = stop if stop and planned.row == "done" else planned
                self._close(action, final, row.attempts, now_ms)
                return None
            if stop:  # an attempt may have had its effect unseen: it is lifted
                self._wish(action, stop.words, now_ms)
            responder, plan = planned
            others = self._others(action, rows)
            keeper = max(others, key=lambda other: other.until_ms, default=None)
            if plan.want == "absent" and keeper and keeper.until_ms > now_ms:
                words = f"still wanted: {keeper.id} holds it until {iso(keeper.until_ms)}"
                self._close(action, _Verdict("expired", "done", words), row.attempts, now_ms)
                return None
            # Attempt 2 reads back first: where another action had the effect, it is there.
            attempt = max(row.attempts + 1, 2 if others else 1)
            lease_until_ms = now_ms + self._lease_ms
            self._move(action_id, "waiting", attempt, lease_until_ms, f"{plan.doing}: under way")
            return _Job(action, responder, plan, attempt, lease_until_ms)

    def _plan(self, action: Action, *, lift: bool) -> tuple[Responder, Plan] | _Verdict:
        responder = self._responders.get(action.kind)
        if responder is None:
            words = f"cannot {describe(action)}: no enforcement point is configured"
            return _Verdict("failed", "waiting", words)
        try:
            plan = responder.undo(action) if lift else responder.plan(action)
        except ValueError as error:
            return _Verdict("failed", "done", f"cannot {describe(action)}: {error}")
        return (responder, plan) if plan else _Verdict("expired", "done", "nothing to undo")

    def _stop(self, action: Action, now_ms: int) -> _Verdict | None:
        """Why the action is not to be performed now; None if it is."""
        allowed = approved(self._receipts(action.id))
        performable = allowed or (action.mode == "enforce" and action.guard.verdict == "pass")
        if performable and action.until_ms and now_ms >= action.until_ms:
            return _Verdict("expired", "done", f"its time ended before it could {describe(action)}")
        guard = self._recheck(action, now_ms) if performable else action.guard
        would = f"{'simulate: ' if action.mode == 'simulate' else ''}would {describe(action)}"
        if guard.verdict == "refuse":
            return _Verdict("wanted", "done", f"{would}, but it is refused: {guard.why}")
        if action.mode == "simulate":
            return _Verdict("wanted", "done", f"{would}: {action.reason}")
        if not allowed and (guard.verdict == "approve" or action.mode == "approval"):
            why = guard.why if guard.verdict == "approve" else action.reason
            return _Verdict("wanted", "approval", f"{would} once a person approves: {why}")
        return None

    async def _perform(self, job: _Job, at_ms: int) -> Receipt:
        try:
            return await job.responder.perform(job.plan, at_ms, job.attempt)
        except Exception as error:  # noqa: BLE001  one responder's bug must not stop the others
            name = type(error).__name__  # its text may quote anything
            fault = Fault(detail=f"a fault of Breachline, {name}: report it", retry_after_s=SLOW_S)
            return failed(job.plan, fault, at_ms, job.attempt)

    def _settle(self, job: _Job, receipt: Receipt, now_ms: int) -> None:
        """Receipt and row in one transaction."""
        action, until_ms = job.action, job.action.until_ms
        with self._store.transaction():
            self._receive(receipt)
            row = next((row for row in self._waiting() if row.action == action.id), None)
            if row is None or row.next_attempt_ms != job.lease_until_ms:
                return  # lifted by hand meanwhile, or the lease ran out: that is the later word
            if receipt.state == "confirmed" and until_ms and job.responder.undo(action):
                self._move(action.id, "waiting", 0, until_ms, receipt.detail)
            elif receipt.state in {"confirmed", "expired"} or receipt.retry_after_s is None:
                self._move(action.id, "done", job.attempt, 0, receipt.detail)
            else:
                next_ms = now_ms + self._wait_ms(receipt.retry_after_s, job.attempt)
                if until_ms and job.plan.want != "absent":
                    next_ms = min(next_ms, until_ms)
                self._move(action.id, "waiting", job.attempt, next_ms, receipt.detail)

    def _others(self, action: Action, rows: Iterable[OutboxRow]) -> list[Action]:
        """Other actions whose effect on the same target stands, or may."""
        found, place = [], (action.kind, action.target)
        for row in rows:
            other = self._action(row.action)
            if not other or other.id == action.id or (other.kind, other.target) != place:
                continue
            mark = self._standing(other.id)
            if mark == "there" or (mark == "none" and row.attempts):
                found.append(other)
        return found

    def _waiting(self) -> Sequence[OutboxRow]:
        return self._store.outbox_due(FOREVER_MS)

    def _receipts(self, action_id: str) -> list[Receipt]:
        return list(self._store.log.receipts(action_id))

    def _standing(self, action_id: str) -> Literal["none", "there", "ending"]:
        return standing(self._receipts(action_id))

    def _close(self, action: Action, verdict: _Verdict, attempts: int, now_ms: int) -> None:
        self._receive(self._own(action, verdict, now_ms))
        waits = verdict.row == "waiting"
        next_ms = now_ms + self._wait_ms(SLOW_S, attempts) if waits else 0
        self._move(action.id, verdict.row, attempts, next_ms, verdict.words)

    def _wish(self, action: Action, why: str, now_ms: int) -> None:
        """The wish to lift is in the log before its effect: `wanted`, with read_back absent."""
        wish = self._own(action, _Verdict("wanted", "waiting", f"to be lifted: {why}"), now_ms)
        self._receive(msgspec.structs.replace(wish, read_back="absent"))

    def _own(self, action: Action, verdict: _Verdict, now_ms: int) -> Receipt:
        """A receipt of ours, where no enforcement point was asked."""
        responder = self._responders.get(action.kind)
        return Receipt(
            action=action.id,
            state=verdict.receipt,
            at_ms=now_ms,
            point=responder.point if responder else "none",
            detail=verdict.words,
        )

    def _receive(self, receipt: Receipt) -> None:
        """Append, unless the last receipt already says so: a day of retries is one entry."""
        words = (receipt.state, receipt.detail, receipt.read_back)
        if words in [(r.state, r.detail, r.read_back) for r in self._receipts(receipt.action)[-1:]]:
            return
        level = logging.WARNING if receipt.state in {"failed", "drifted"} else logging.INFO
        _log.log(level, "%s: %s", receipt.action, receipt.detail)
        self._store.log.append_receipt(receipt)
        self._on_receipt(receipt)

    def _move(
        self, action_id: str, state: RowState, attempts: int, next_ms: int, reason: str
    ) -> None:
        self._store.outbox_update(
            action_id, state=state, attempts=attempts, next_attempt_ms=next_ms, reason=reason
        )

    def _wait_ms(self, least_s: float, attempts: int) -> int:
        """Exponential back-off with full jitter above the least wait that the fault asks for."""
        cap_s = max(least_s, QUICK_CAP_S if least_s < SLOW_S else SLOW_CAP_S)
        ceiling_s = max(least_s, min(cap_s, least_s * 2.0 ** min(attempts, 16)))
        return round(1000 * self._random.uniform(least_s, ceiling_s))
