"""A person's orders to the decider: of containment and of custody, from any machine.

In: orders that came in frames of `exposures`, the decider's store. Out: intents, receipts and rows,
which `streams.respond` performs like any other, and entries of the log; what cannot be done is
answered, and logged.
It MUST NOT raise for what a person ordered: the frame would be read again for ever.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from evidence import custody
from evidence.custody import Read
from evidence.store import EmbeddedStore
from records.incident import Action, Receipt
from records.kinds import ReceiptState
from responders.block_ip import canonical
from streams.approvals import BY_HAND, PERSON, decide
from streams.capture import evidence_events

ORIGIN: Final = "person"
"""Of frames that hold orders: nobody waits for the next one."""

_log = logging.getLogger("breachline.orders")

Lift = Callable[[str, int, str], Sequence[str]]
"""`Respond.lift`: ids of the actions of ours that stand on an address, and are undone now."""


class Rotate(Protocol):
    """`streams.kafka.keys.replace`, of one store."""

    def __call__(self, vkey: str, /, *, by: str, why: str, at_ms: int) -> None:
        """Have this key sign the log from now on."""
        ...


class Order(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a person wants done, as it travels."""

    id: str
    kind: Literal[
        "block",
        "approve",
        "reject",
        "unblock",
        "hold",
        "release",
        "read",
        "export",
        "rebuild",
        "rotate",
        "erase",
    ]
    action: Action | None
    """The intent to keep: of a block, and of an unblock where nothing of ours stands."""
    target: str
    """The address; the action's id to approve or reject, the incident's of custody; the new key."""
    by: str
    why: str
    at_ms: int
    """By the clock of the machine where it was given."""
    read: Read | None = None
    """What was shown or handed out, of a read and an export."""
    only: str = ""
    """The hold that is to end, where several stand."""


class Orders:
    """Enters orders into the decider's store; `lift` is set once there is who undoes effects."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.lift: Lift | None = None
        self.erase: Callable[[Order], str] = _nobody_erases
        """Set by who holds more of a person than the store does."""
        self.rotate: Rotate | None = None
        self._store = store

    def enter(self, orders: Iterable[Order], now_ms: int) -> list[Receipt]:
        """Have these stand in the store; answers by the order's id.

        A receipt `failed` for each that cannot, and `confirmed` for those that no other receipt
        is about.
        """
        answers = []
        for order in orders:
            # Whoever is to be erased must not stand in a worker's log.
            whom = "a person" if order.kind == "erase" else order.target
            doing = f"{order.kind} {whom}, ordered by {order.by}"
            try:
                said = self._enter(order, now_ms)
            except (LookupError, ValueError) as error:
                _log.warning("%s: refused: %s", doing, error.args[0])
                answers.append(_answer(order, "failed", str(error.args[0]), now_ms))
            else:
                _log.info("%s: %s", doing, order.why)
                if said:
                    answers.append(_answer(order, "confirmed", said, now_ms))
        return answers

    def _enter(self, order: Order, now_ms: int) -> str:
        """Do it; what to answer, "" where another receipt does."""
        match order.kind:
            case "hold" | "release":
                return self._keep_or_end(order)
            case "read" | "export":
                if order.read is None:
                    raise ValueError(f"{order.kind} {order.target}: the order says nothing")
                custody.note(self._store, order.read)
            case "erase":
                return self.erase(order)
            case "block":
                action = _intent(order)
                with self._store.transaction():
                    self._keep(action, now_ms)
            case "approve" | "reject":
                yes = order.kind == "approve"
                decide(self._store, order.target, now_ms, yes=yes, by=order.by, why=order.why)
            case "unblock":
                self._unblock(order, now_ms)
            case "rebuild":
                # Here, not above: nobody without Elasticsearch waits for its client to load.
                from streams.projection import begin_again  # noqa: PLC0415

                return f"{begin_again(self._store):,} entries"
            case "rotate":
                if self.rotate is None:
                    raise ValueError(f"rotate {order.target}: this worker signs nothing")
                try:
                    self.rotate(order.target, by=order.by, why=order.why, at_ms=now_ms)
                except OSError as error:
                    why = error.strerror or type(error).__name__
                    raise ValueError(f"rotate {order.target}: {why}") from error
                return order.target
        return ""

    def _keep_or_end(self, order: Order) -> str:
        store = self._store
        incident = store.incident(order.target)
        if incident is None:
            raise LookupError(f"{order.kind} {order.target}: there is no such incident")
        with store.transaction():
            if order.kind == "hold":
                events = evidence_events(store, incident)
                made = custody.hold(
                    store, incident, events, by=order.by, why=order.why, at_ms=order.at_ms
                )
            else:
                made = custody.release(
                    store, incident, by=order.by, why=order.why, at_ms=order.at_ms, only=order.only
                )
        return made.id

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


def _nobody_erases(order: Order) -> str:
    raise ValueError(f"{order.kind}: this worker cannot")


def _answer(order: Order, state: ReceiptState, detail: str, now_ms: int) -> Receipt:
    return Receipt(action=order.id, state=state, at_ms=now_ms, point=PERSON, detail=detail)


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
