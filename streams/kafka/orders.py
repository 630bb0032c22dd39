"""A person's orders to the decider: block, approve, reject, unblock, from any machine.

In: orders that came in frames of `exposures`, the decider's store. Out: intents, receipts and rows,
which `streams.respond` performs like any other; what cannot be done is answered, and logged.
It MUST NOT raise for what a person ordered: the frame would be read again for ever.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec

from evidence.store import EmbeddedStore
from records.incident import Action, Receipt
from responders.block_ip import canonical
from streams.approvals import BY_HAND, PERSON, decide

ORIGIN: Final = "person"
"""Of frames that hold orders: nobody waits for the next one."""

_log = logging.getLogger("breachline.orders")

Lift = Callable[[str, int, str], Sequence[str]]
"""`Respond.lift`: ids of the actions of ours that stand on an address, and are undone now."""


class Order(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a person wants done, as it travels."""

    id: str
    kind: Literal["block", "approve", "reject", "unblock"]
    action: Action | None
    """The intent to keep: of a block, and of an unblock where nothing of ours stands."""
    target: str
    """The address; to approve or reject, the action's id."""
    by: str
    why: str
    at_ms: int
    """By the clock of the machine where it was given."""


class Orders:
    """Enters orders into the decider's store; `lift` is set once there is who undoes effects."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.lift: Lift | None = None
        self._store = store

    def enter(self, orders: Iterable[Order], now_ms: int) -> list[Receipt]:
        """Have these stand in the store; a receipt for each that cannot, by the order's id."""
        refused = []
        for order in orders:
            doing = f"{order.kind} {order.target}, ordered by {order.by}"
            try:
                self._enter(order, now_ms)
            except (LookupError, ValueError) as error:
                _log.warning("%s: refused: %s", doing, error.args[0])
                refused.append(
                    Receipt(
                        action=order.id,
                        state="failed",
                        at_ms=now_ms,
                        point=PERSON,
                        detail=str(error.args[0]),
                    )
                )
            else:
                _log.info("%s: %s", doing, order.why)
        return refused

    def _enter(self, order: Order, now_ms: int) -> None:
        match order.kind:
            case "block":
                action = _intent(order)
                with self._store.transaction():
                    self._keep(action, now_ms)
            case "approve" | "reject":
                yes = order.kind == "approve"
                decide(self._store, order.target, now_ms, yes=yes, by=order.by, why=order.why)
            case "unblock":
                self._unblock(order, now_ms)

    def _unblock(self, order: Order, now_ms: int) -> None:
        action, why = _intent(order), wish(order)
        if self.lift is not None and self.lift(action.target, now_ms, why):
            return
        # Somebody else's block, or none: an effect that may stand, so that it is undone, and
        # tried again until it is, as those of ours are.
        with self._store.transaction():
            if self._keep(action, now_ms):
                self._store.log.append_receipt(
                    Receipt(
                        action=action.id,
                        state="wanted",
                        at_ms=now_ms,
                        point="none",
                        detail=f"to be lifted: {why}",
                        read_back="absent",
                    )
                )

    def _keep(self, action: Action, now_ms: int) -> bool:
        """Intent and row, unless the action is there already."""
        if self._store.log.action(action.id) is not None:
            return False
        self._store.log.append_intent(action)
        self._store.outbox_add(action.id, now_ms)
        return True


def wish(order: Order) -> str:
    """Why an address is opened, as receipts say it: with the order, so that its giver finds it."""
    return f"{order.why} (ordered by {order.by}: {order.id})"


def _intent(order: Order) -> Action:
    """The action of an order.

    Raises:
        ValueError: it has none, or none that a person may order.
    """
    action = order.action
    if action is None or (action.kind, action.incident, action.mode) != (
        "block_ip", BY_HAND, "enforce"
    ):  # fmt: skip
        raise ValueError(f"{order.kind} {order.target}: the order names no block by hand")
    if canonical(action.target) != action.target or action.target != order.target:
        raise ValueError(f"{order.kind} {order.target}: the order's action has another target")
    return action
