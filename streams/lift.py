"""Lifts blocks that hurt the innocent (JUDGEMENT, guards), for both shells."""

from functools import partial

from evidence.store import EmbeddedStore
from incidents.population import block_of
from streams.decider import Decider
from streams.respond import FOREVER_MS, Respond, standing


def lift_harmful(decider: Decider, store: EmbeddedStore, respond: Respond, now_ms: int) -> None:
    """Lift blocks behind which more innocents were refused than before them, and say so.

    A block by a person's hand belongs to no incident, and is that person's to lift.
    """
    denials, desk, log = decider.denials, decider.desk, store.log
    if not (fresh := denials.take_fresh()):
        return
    for row in store.outbox_due(FOREVER_MS):
        action = log.action(row.action)
        if action is None or action.kind != "block_ip" or block_of(action.target) not in fresh:
            continue
        receipts = list(log.receipts(action.id))
        if standing(receipts) != "there" or desk.incident(action.incident) is None:
            continue
        since_ms = next(r.at_ms for r in receipts if r.state == "confirmed")
        around = partial(denials.around, action.target, block_ms=since_ms, now_ms=now_ms)
        if why := desk.hurts(action, around):
            respond.lift(action.target, now_ms, why)
