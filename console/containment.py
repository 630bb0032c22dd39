"""Containment by hand: block, approve, unblock, and how every block stands.

In: a store, the gateway, an address or an action, and a reason. Out: receipts and rows. A person's
word passes no guard but two: the never-block list, and our own proxies and addresses.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import msgspec

from console.fault import Refused, Unreachable
from console.options import refusing
from evidence.store import EmbeddedStore
from incidents.guards import Guards
from incidents.population import Population
from records.durations import parse_duration_s
from records.ids import action_id, iso
from records.incident import Action, Guard, Receipt
from responders._base import Fault
from responders.block_ip import canonical
from streams.approvals import BY_HAND, decide, pending
from streams.clock import Clock
from streams.enforcement import gateway_of
from streams.respond import Respond
from streams.results import DATABASE
from streams.settings import Settings

_LONGEST_S = 30 * 86_400
_DECIDED = {"pass": "decided", "approve": "asked", "refuse": "refused"}
_NO_GATEWAY = (
    "no enforcement point is configured: set respond.gateway.url in breachline.yaml "
    "(and token_env with the name of the variable that holds its token)"
)


def require_gateway(settings: Settings) -> None:
    """Before anything is opened or written.

    Raises:
        Refused: no gateway is configured.
    """
    if settings.respond.gateway is None:
        raise Refused(_NO_GATEWAY)


def require_store(settings: Settings) -> None:
    """Before a store is opened that must not be made.

    Raises:
        Refused: nothing was ever kept in the data directory.
    """
    if not (settings.data_dir / DATABASE).exists():
        raise Refused(
            f"reading {settings.data_dir}: nothing was kept there yet; name the data directory "
            "of `breachline run` with --data-dir"
        )


class BlockRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one block stands."""

    action: str
    target: str
    state: str
    """The last receipt's; before any decided, asked or refused, as the guards had it."""
    mode: str
    guard: str
    until: str
    gateway: str
    """blocked | not blocked | unknown: asked just now."""
    waits: bool
    """Whether a person can approve it."""
    attempts: int
    reason: str


def address_of(text: str) -> str:
    """The one spelling of an address or IPv6 /64.

    Raises:
        Refused: it is neither.
    """
    try:
        return canonical(text)
    except ValueError as error:
        raise Refused(
            f"blocking {text!r}: {error}; give one IPv4 or IPv6 address, or an IPv6 /64"
        ) from error


def seconds_of(text: str) -> float:
    """How long a block by hand lasts.

    Raises:
        Refused: it is no duration, or none that a block may have: every block ends by itself.
    """
    with refusing():
        seconds = parse_duration_s(text)
    if not isinstance(seconds, float) or not 1 <= seconds <= _LONGEST_S:
        raise Refused(f"blocking for {text}: write a time from 1s to {_LONGEST_S // 86_400}d")
    return seconds


async def block(
    store: EmbeddedStore, settings: Settings, clock: Clock, ip: str, seconds: float, reason: str
) -> Receipt:
    """Block an address now, whatever the mode; the intent is durable before the effect.

    Raises:
        Refused: no gateway is configured, or the address may never be blocked.
        Unreachable: the gateway did not take it; the intent waits and is retried by `run`.
    """
    now_ms = clock.now_ms()
    require_gateway(settings)
    if refused := refusal(settings, ip, now_ms):
        raise Refused(f"blocking {ip}: {refused}")
    action = intent("block_ip", ip, now_ms, now_ms + int(seconds * 1000), reason)
    with store.transaction():
        store.log.append_intent(action)
        store.outbox_add(action.id, now_ms)
    receipt = await _perform(store, settings, clock, action.id)
    if receipt.state != "confirmed":
        raise Unreachable(f"{receipt.detail} (kept: `breachline run` tries it again)")
    return receipt


def intent(
    verb: str, ip: str, now_ms: int, until_ms: int, reason: str, who: str = "a person"
) -> Action:
    """The action of what a person decided: `block_ip`, or `unblock_ip` where nothing stands."""
    return Action(
        id=action_id(verb, ip, BY_HAND, now_ms),
        kind="block_ip",
        target=ip,
        until_ms=until_ms,
        mode="enforce",
        reason=reason,
        incident=BY_HAND,
        findings=(),
        guard=Guard("pass", f"{who} decided"),
        decided_ms=now_ms,
    )


async def approve(
    store: EmbeddedStore, settings: Settings, clock: Clock, action_id: str, by: str, why: str
) -> Receipt:
    """Have a block that waits for approval performed now; who said so is durable before it is.

    Raises:
        Refused: no gateway is configured, it may never be blocked, or it does not wait.
        Unreachable: the gateway did not take it; the intent waits and is retried by `run`.
    """
    require_gateway(settings)
    action = store.log.action(action_id)
    now_ms = clock.now_ms()
    if action is not None and (refused := refusal(settings, action.target, now_ms)):
        raise Refused(f"approving {action_id}: {refused}")
    _decide(store, action_id, now_ms, yes=True, by=by, why=why)
    receipt = await _perform(store, settings, clock, action_id)
    if receipt.state != "confirmed":
        raise Unreachable(f"{receipt.detail} (approved: `breachline run` tries it again)")
    return receipt


def reject(store: EmbeddedStore, now_ms: int, action_id: str, by: str, why: str) -> Action:
    """Have a block that waits for approval never performed.

    Raises:
        Refused: it does not wait.
    """
    return _decide(store, action_id, now_ms, yes=False, by=by, why=why)


def _decide(
    store: EmbeddedStore, action_id: str, now_ms: int, *, yes: bool, by: str, why: str
) -> Action:
    with listing():
        return decide(store, action_id, now_ms, yes=yes, by=by, why=why)


@contextmanager
def listing() -> Iterator[None]:
    """What does not wait for a person is said with the command that lists what does.

    Raises:
        Refused: for LookupError and ValueError inside.
    """
    try:
        yield
    except (LookupError, ValueError) as error:
        raise Refused(f"{error.args[0]}; `breachline blocks --pending` lists what waits") from error


def refusal(settings: Settings, ip: str, now_ms: int) -> str:
    """Why nobody may block an address; "" where they may."""
    guards = Guards(settings.respond, Population(), settings.intake.trusted_proxies)
    guard = guards.place(ip, now_ms)
    return guard.why if guard is not None and guard.verdict == "refuse" else ""


async def unblock(
    store: EmbeddedStore, settings: Settings, clock: Clock, ip: str, reason: str
) -> str:
    """Lift every block of an address; also one that somebody else set. What the gateway says.

    Raises:
        Refused: no gateway is configured.
        Unreachable: the gateway did not take it.
    """
    require_gateway(settings)
    async with gateway_of(settings, os.environ) as gateway:
        assert gateway is not None  # noqa: S101  checked above
        respond = Respond(store, [gateway], recheck=_as_decided, clock=clock, random=Random())
        lifted = respond.lift(ip, clock.now_ms(), reason)
        if lifted:
            await respond.only(lifted)
            last = list(store.log.receipts(lifted[-1]))[-1]
        else:
            now_ms = clock.now_ms()
            action = intent("unblock_ip", ip, now_ms, now_ms, reason)
            with store.transaction():
                store.log.append_intent(action)
            last = await gateway.perform(gateway.undo(action), now_ms, 1)
            with store.transaction():
                store.log.append_receipt(last)
    if last.state != "expired":
        raise Unreachable(last.detail)
    return last.detail


async def _perform(store: EmbeddedStore, settings: Settings, clock: Clock, action: str) -> Receipt:
    async with gateway_of(settings, os.environ) as gateway:
        assert gateway is not None  # noqa: S101  the caller checked
        respond = Respond(store, [gateway], recheck=_as_decided, clock=clock, random=Random())
        await respond.only([action])
    return list(store.log.receipts(action))[-1]


def _as_decided(action: Action, _now_ms: int) -> Guard:
    """The only intents that this process performs were decided by a person a moment ago."""
    return action.guard


async def rows(
    store: EmbeddedStore, settings: Settings, now_ms: int, *, only_pending: bool = False
) -> list[BlockRow]:
    """Every block that was decided, the newest first, held against what the gateway lists.

    only_pending: those that a person can still approve.
    """
    listed: frozenset[str] | None = None
    async with gateway_of(settings, os.environ) as gateway:
        if gateway is not None:
            answer = await gateway.listed(now_ms)
            listed = None if isinstance(answer, Fault) else answer
    waiting = {row.action: row for row in store.outbox_all()}
    asked = {action.id: action for action in pending(store, now_ms)}
    found = []
    for action in asked.values() if only_pending else store.log.actions():
        if action.kind != "block_ip":
            continue
        receipts = list(store.log.receipts(action.id))
        row = waiting.get(action.id)
        known = "unknown"
        if listed is not None:
            known = "blocked" if action.target in listed else "not blocked"
        found.append(
            BlockRow(
                action=action.id,
                target=action.target,
                state=receipts[-1].state if receipts else _DECIDED[action.guard.verdict],
                mode=action.mode,
                guard=action.guard.verdict,
                until=iso(action.until_ms),
                gateway=known,
                waits=action.id in asked,
                attempts=row.attempts if row else 0,
                reason=(row.reason if row and row.reason else "")
                or (receipts[-1].detail if receipts else action.guard.why),
            )
        )
    return found[::-1]
