"""Takes back actions that should never have been decided, such as blocks for a service's fault.

In: the store, inside its open transaction, and action ids. Out: receipts and rows moved on. What
was never tried is closed here; what may have had its effect is lifted as `unblock` lifts it, by
`Respond`. It asks no enforcement point and decides nothing.
"""

import logging

from evidence.store import EmbeddedStore
from records.incident import Receipt
from streams.respond import standing

_log = logging.getLogger("breachline.withdraw")


def withdraw(store: EmbeddedStore, action_id: str, why: str, now_ms: int) -> bool:
    """Take one action back; False where there is nothing to take back.

    The wish to lift is in the log before its effect, in the caller's transaction. Another action
    that still wants the same effect keeps it.
    """
    row = store.outbox_row(action_id)
    if row is None or row.state == "done":
        return False
    receipts = list(store.log.receipts(action_id))
    mark = standing(receipts)
    if mark == "ending":
        return False
    tried = mark == "there" or row.attempts > 0
    detail = f"to be lifted: {why}" if tried else f"withdrawn: {why}"
    store.log.append_receipt(
        Receipt(
            action=action_id,
            state="wanted" if tried else "expired",
            at_ms=now_ms,
            point=receipts[-1].point if receipts else "none",
            detail=detail,
            read_back="absent" if tried else "",
        )
    )
    store.outbox_update(
        action_id,
        state="waiting" if tried else "done",
        attempts=row.attempts,
        next_attempt_ms=now_ms if tried else 0,
        reason=detail,
    )
    _log.info("%s: %s", action_id, detail)
    return True
