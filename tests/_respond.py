"""What the tests of streams/respond.py share: a store over dicts, a scripted responder, steps."""

import asyncio
import copy
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from random import Random

import msgspec
from pydantic import SecretStr

from evidence.store import EmbeddedStore
from records.incident import Action, Guard, Receipt
from responders._base import Plan
from responders.block_ip import BlockIp, gateway_client
from responders.settings import GatewaySettings
from streams.clock import HandClock
from streams.respond import Respond
from tests._gateway import TOKEN

NOW_MS = 1_795_341_600_000  # 2026-11-22T10:00:00Z
HOUR_MS = 3_600_000
IP = "203.0.113.7"
PASS = Guard("pass", "0 innocent principals")


def block(name="act-1", target=IP, **given):
    fields = {
        "id": name,
        "kind": "block_ip",
        "target": target,
        "until_ms": NOW_MS + HOUR_MS,
        "mode": "enforce",
        "reason": "SEV1: 12 users read",
        "incident": "inc-1",
        "findings": ("fin-1",),
        "guard": PASS,
        "decided_ms": NOW_MS,
    }
    return Action(**(fields | given))


@dataclass(frozen=True)
class Row:
    action: str
    attempts: int
    next_attempt_ms: int
    reason: str
    state: str


class MemoryLog:
    def __init__(self):
        self.intents, self.all_receipts = {}, []

    def append_intent(self, action):
        self.intents.setdefault(action.id, action)

    def append_receipt(self, receipt):
        self.all_receipts.append(receipt)

    def action(self, action_id):
        return self.intents.get(action_id)

    def receipts(self, action_id):
        return [receipt for receipt in self.all_receipts if receipt.action == action_id]


class MemoryStore:
    """The store's calls over dicts; a transaction that raises leaves nothing behind."""

    def __init__(self):
        self.log, self.rows = MemoryLog(), {}

    @contextmanager
    def transaction(self):
        before = copy.deepcopy((self.log, self.rows))
        try:
            yield
        except BaseException:
            self.log, self.rows = before
            raise

    def outbox_add(self, action_id, next_attempt_ms):
        self.rows.setdefault(action_id, Row(action_id, 0, next_attempt_ms, "", "waiting"))

    def outbox_due(self, now_ms):
        due = [r for r in self.rows.values() if r.state == "waiting"]
        due = [r for r in due if r.next_attempt_ms <= now_ms]
        return sorted(due, key=lambda r: (r.next_attempt_ms, r.action))

    def outbox_all(self):
        return [self.rows[name] for name in sorted(self.rows)]

    def outbox_update(self, action_id, **given):
        self.rows[action_id] = replace(self.rows[action_id], **given)

    def close(self):
        pass


STORES = ["memory", "embedded"]


@contextmanager
def opened(name, directory):
    store = MemoryStore() if name == "memory" else EmbeddedStore.open(directory)
    try:
        yield store
    finally:
        store.close()


def intend(store, *actions):
    with store.transaction():
        for action in actions:
            store.log.append_intent(action)
            store.outbox_add(action.id, action.decided_ms)


def row(store, name="act-1"):
    return next(r for r in store.outbox_all() if r.action == name)


def told(store, name="act-1"):
    return [(r.state, r.detail) for r in store.log.receipts(name)]


def always_pass(action, now_ms):
    return PASS


class Scripted:
    """A responder whose gateway is a list of addresses, and which does what a test scripts."""

    kind = "block_ip"
    point = "gateway"

    def __init__(self, *script):
        self.script = list(script)
        self.blocked: list[str] = []
        self.performed: list[tuple[str, str, int]] = []
        self.at_once = self.most_at_once = 0
        self.per_target = defaultdict(int)
        self.hold: asyncio.Event | None = None

    def plan(self, action):
        if action.target == "nonsense":
            raise ValueError("'nonsense' is no address")
        return self._plan(action, "present")

    def undo(self, action):
        return self._plan(action, "absent")

    def _plan(self, action, want):
        doing = f"{'blocking' if want == 'present' else 'unblocking'} {action.target}"
        return Plan(
            action=action.id,
            kind="block_ip",
            point="gateway",
            target=action.target,
            want=want,
            doing=doing,
        )

    async def perform(self, plan, at_ms, attempt):
        self.performed.append((plan.action, plan.want, attempt))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.per_target[plan.target] += 1
        assert self.per_target[plan.target] == 1
        try:
            await (self.hold.wait() if self.hold else asyncio.sleep(0))
            outcome = self.script.pop(0) if self.script else "done"
            if isinstance(outcome, Exception):
                raise outcome
            receipt = Receipt(
                action=plan.action,
                state="failed",
                at_ms=at_ms,
                point="gateway",
                detail=f"{plan.doing}: {outcome}",
                attempt=attempt,
            )
            if isinstance(outcome, float):
                return msgspec.structs.replace(receipt, retry_after_s=outcome)
            if outcome == "never":
                return receipt
            if plan.want == "present" and plan.target not in self.blocked:
                self.blocked.append(plan.target)
            if plan.want == "absent" and plan.target in self.blocked:
                self.blocked.remove(plan.target)
            state = "confirmed" if plan.want == "present" else "expired"
            return msgspec.structs.replace(receipt, state=state, detail=plan.doing)
        finally:
            self.at_once -= 1
            self.per_target[plan.target] -= 1

    async def read_back(self, plan, at_ms):
        return "present" if plan.target in self.blocked else "absent"


def respond(store, *responders, clock=None, recheck=always_pass, **given):
    clock = clock or HandClock(NOW_MS)
    given = {"random": Random(1), **given}
    return Respond(store, responders, recheck=recheck, clock=clock, **given)


def step(responding, clock):
    return asyncio.run(responding.step(clock.now_ms()))


@asynccontextmanager
async def live(store, gateway, clock, token=TOKEN, **given):
    settings = GatewaySettings(
        url=gateway.url, token_env="GATEWAY_TOKEN", timeout=given.pop("timeout", 5)
    )
    async with gateway_client(settings) as client:
        responder = BlockIp(settings, client, lambda: SecretStr(token))
        yield respond(store, responder, clock=clock, **given)


async def until(responding, clock, reached, steps=40):
    """Step from due time to due time, bounded."""
    for _ in range(steps):
        wait_s = await responding.step(clock.now_ms())
        if reached():
            return
        assert wait_s is not None
        clock.advance(wait_s)
    raise AssertionError("never reached")
