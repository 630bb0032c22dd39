"""Containment and custody where Kafka is configured: orders to the decider, and what came of them.

In: settings, an address, an action or an incident, who and why. Out: the receipt that decided.
Only the decider writes its store: nothing is done, kept or lifted from here.
"""

import asyncio
import os
from typing import Literal
from uuid import uuid4

from console import containment
from console.case import answering
from console.fault import Negative, Refused, Unreachable
from console.options import refusing
from evidence.custody import Read
from records.durations import parse_duration_s
from records.incident import Action, Receipt
from streams.approvals import awaited
from streams.clock import Clock
from streams.kafka import dispatch
from streams.kafka.orders import Order
from streams.settings import Settings

_LONGEST_S = 3_600


def patience_of(text: str) -> float:
    """How long to wait for an answer.

    Raises:
        Refused: it is no duration, or a longer one than anybody waits.
    """
    with refusing():
        seconds = parse_duration_s(text)
    if not isinstance(seconds, float) or not 1 <= seconds <= _LONGEST_S:
        raise Refused(f"waiting for {text}: write a time from 1s to {_LONGEST_S // 60}m")
    return seconds


def block(
    settings: Settings,
    clock: Clock,
    ip: str,
    seconds: float,
    reason: str,
    by: str,
    patience_s: float,
) -> tuple[Action, Receipt]:
    """Have an address blocked now, whatever the mode.

    Raises:
        Refused: the address may never be blocked.
        Negative, Unreachable: as `_give`.
    """
    now_ms = clock.now_ms()
    if refused := containment.refusal(settings, ip, now_ms):
        raise Refused(f"blocking {ip}: {refused}")
    until_ms = now_ms + int(seconds * 1000)
    action = containment.intent("block_ip", ip, now_ms, until_ms, reason, by)
    order = Order(
        id=_name(), kind="block", action=action, target=ip, by=by, why=reason, at_ms=now_ms
    )
    return action, _give(settings, order, f"blocking {ip}", patience_s)


def decide(
    settings: Settings,
    clock: Clock,
    action_id: str,
    why: str,
    by: str,
    patience_s: float,
    *,
    yes: bool,
) -> tuple[Action, Receipt]:
    """Have a block that waits for approval performed now, or never.

    Raises:
        Refused: it does not wait, or may never be performed.
        Negative, Unreachable: as `_give`.
    """
    doing, now_ms = f"{'approving' if yes else 'rejecting'} {action_id}", clock.now_ms()
    with answering(settings, None) as store, containment.listing():
        action = awaited(store, action_id, now_ms, yes=yes)
    if yes and (refused := containment.refusal(settings, action.target, now_ms)):
        raise Refused(f"{doing}: {refused}")
    order = Order(
        id=_name(),
        kind="approve" if yes else "reject",
        action=None,
        target=action_id,
        by=by,
        why=why,
        at_ms=now_ms,
    )
    return action, _give(settings, order, doing, patience_s)


def unblock(
    settings: Settings, clock: Clock, ip: str, reason: str, by: str, patience_s: float
) -> Receipt:
    """Have every block of an address lifted; also one that somebody else set.

    Raises:
        Negative, Unreachable: as `_give`.
    """
    now_ms = clock.now_ms()
    action = containment.intent("unblock_ip", ip, now_ms, now_ms, reason, by)
    order = Order(
        id=_name(), kind="unblock", action=action, target=ip, by=by, why=reason, at_ms=now_ms
    )
    return _give(settings, order, f"unblocking {ip}", patience_s)


def keep(
    settings: Settings,
    clock: Clock,
    kind: Literal["hold", "release"],
    incident: str,
    why: str,
    by: str,
    patience_s: float,
    *,
    only: str = "",
) -> str:
    """Have an incident's evidence kept until a release, or released; the hold's id.

    Raises:
        Negative, Unreachable: as `_give`.
    """
    order = Order(
        id=_name(), kind=kind, action=None, target=incident, by=by, why=why,
        at_ms=clock.now_ms(), only=only,
    )  # fmt: skip
    doing = f"{'holding' if kind == 'hold' else 'releasing'} {incident}"
    return _give(settings, order, doing, patience_s).detail


def rebuild(settings: Settings, clock: Clock, by: str, patience_s: float) -> str:
    """Have everything indexed into Elasticsearch again; how much that is, in words.

    Raises:
        Negative, Unreachable: as `_give`.
    """
    order = Order(
        id=_name(), kind="rebuild", action=None, target="elasticsearch", by=by,
        why="indexing everything again", at_ms=clock.now_ms(),
    )  # fmt: skip
    return _give(settings, order, "indexing everything again", patience_s).detail


def erase(settings: Settings, clock: Clock, user: str, why: str, by: str, patience_s: float) -> str:
    """Have a person erased from the decider's store; the `Erasure`, as JSON.

    Raises:
        Negative, Unreachable: as `_give`.
    """
    order = Order(
        id=_name(), kind="erase", action=None, target=user, by=by, why=why, at_ms=clock.now_ms()
    )
    return _give(settings, order, "erasing a person", patience_s).detail


def rotate(
    settings: Settings, clock: Clock, vkey: str, why: str, by: str, patience_s: float
) -> None:
    """Have the workers sign with a new key, which they must have beside the old one.

    Raises:
        Negative, Unreachable: as `_give`.
    """
    order = Order(
        id=_name(), kind="rotate", action=None, target=vkey, by=by, why=why, at_ms=clock.now_ms()
    )
    _give(settings, order, "replacing the ledger key", patience_s)


def tell(settings: Settings, read: Read) -> None:
    """Have it entered that evidence was shown or handed out, without waiting until it is.

    Raises:
        OSError: the brokers do not answer, or refuse us.
    """
    assert settings.kafka is not None  # noqa: S101  that is why the order is sent
    order = Order(
        id=_name(), kind=read.kind, action=None, target=read.incident, by=read.by, why=read.why,
        at_ms=read.at_ms, read=read,
    )  # fmt: skip
    asyncio.run(dispatch.tell(settings.kafka, os.environ, order))


def _name() -> str:
    return f"ord-{uuid4().hex[:20]}"


def _give(settings: Settings, order: Order, doing: str, patience_s: float) -> Receipt:
    """The receipt of an order that was done.

    Raises:
        Negative: the decider refused it.
        Unreachable: the brokers do not answer, nobody answered in time, or the gateway does not
            take it; in the latter two the order stands.
    """
    assert settings.kafka is not None  # noqa: S101  that is why the order is sent
    with refusing():
        try:
            verdict = asyncio.run(dispatch.give(settings.kafka, os.environ, order, patience_s))
        except ConnectionError as error:
            raise Unreachable(f"{doing}: {error}") from None
    if verdict is None:
        raise Unreachable(
            f"{doing}: no worker answered in {patience_s:g} s; the order is kept, and is carried "
            "out when one is at work (`breachline blocks` shows it then)"
        )
    if verdict.how == "trouble":
        raise Unreachable(f"{verdict.receipt.detail} (kept: the worker tries it again)")
    if verdict.how == "refused":
        raise Negative(f"{doing}: refused: {verdict.receipt.detail}")
    return verdict.receipt
