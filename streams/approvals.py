"""A person's word on an action that waits for one: what waits, who decided, and what then holds.

In: the store, an action id, a yes or no and a name. Out: an approval and a receipt in the log and
the row moved on, in one transaction. It performs nothing: an approved row is due at once, and
`streams.respond` takes it, past every guard but those that a person cannot overrule.
"""

from collections.abc import Iterable

from evidence.log import Approval
from evidence.store import EmbeddedStore
from records.ids import iso
from records.incident import Action, Receipt

PERSON = "person"
"""The point that a person's receipt comes from."""
BY_HAND = "by-hand"
"""In place of an incident: what a person decided without one."""


def approved(receipts: Iterable[Receipt]) -> bool:
    """Whether a person said yes, by the receipts of one action."""
    return any((receipt.point, receipt.state) == (PERSON, "wanted") for receipt in receipts)


def by_person(store: EmbeddedStore, action: Action) -> bool:
    """Whether an action stands on a person's word, and not on the policy's alone."""
    return action.incident == BY_HAND or approved(store.log.receipts(action.id))


def pending(store: EmbeddedStore, now_ms: int) -> list[Action]:
    """What waits for a person and is not over yet, the longest waiting first."""
    rows = (row.action for row in store.outbox_all() if row.state == "approval")
    actions = filter(None, map(store.log.action, rows))
    return sorted(
        (action for action in actions if not _over(action, now_ms)),
        key=lambda action: (action.decided_ms, action.id),
    )


def decide(
    store: EmbeddedStore, action_id: str, now_ms: int, *, yes: bool, by: str, why: str
) -> Action:
    """Keep a person's word on one action, first come; the action that was decided on.

    Raises:
        As `awaited`.
    """
    with store.transaction():
        action = awaited(store, action_id, now_ms, yes=yes)
        row = store.outbox_row(action_id)
        words = f"{'approved' if yes else 'rejected'} by {by}: {why}"
        store.log.append_approval(
            Approval(action=action_id, approved=yes, by=by, why=why, at_ms=now_ms)
        )
        store.log.append_receipt(
            Receipt(
                action=action_id,
                state="wanted" if yes else "expired",
                at_ms=now_ms,
                point=PERSON,
                detail=words,
            )
        )
        store.outbox_update(
            action_id,
            state="waiting" if yes else "done",
            attempts=row.attempts if row else 0,
            next_attempt_ms=now_ms if yes else 0,
            reason=words,
        )
    return action


def awaited(store: EmbeddedStore, action_id: str, now_ms: int, *, yes: bool) -> Action:
    """The action that a person may say yes or no to now.

    Raises:
        LookupError: there is no such action.
        ValueError: it does not wait for anybody's word, or its time has ended.
    """
    doing = f"{'approving' if yes else 'rejecting'} {action_id}"
    action = store.log.action(action_id)
    if action is None:
        raise LookupError(f"{doing}: there is no such action")
    for said in store.log.approvals(action_id):
        was = "approved" if said.approved else "rejected"
        raise ValueError(f"{doing}: already {was} by {said.by} at {iso(said.at_ms)}")
    row = store.outbox_row(action_id)
    if row is None or row.state != "approval":
        receipts = list(store.log.receipts(action_id))
        stands = receipts[-1].detail if receipts else "nothing was asked yet"
        raise ValueError(f"{doing}: it does not wait for approval: {stands}")
    if _over(action, now_ms):
        raise ValueError(f"{doing}: its time ended at {iso(action.until_ms)}")
    return action


def _over(action: Action, now_ms: int) -> bool:
    return bool(action.until_ms) and now_ms >= action.until_ms
