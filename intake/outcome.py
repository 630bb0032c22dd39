"""What the answer to a request means: was data read or changed, perhaps, or not (JUDGEMENT).

In: method, status, body bytes and what the route knows. Out: effect and outcome. Pure tables.
"""

from records.kinds import Basis, Certainty, Effect, Outcome

_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", ""})
_IGNORED = frozenset({"OPTIONS", "TRACE", "CONNECT"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

READ_WORDS = frozenset(
    "search query find filter lookup list export report batch-get batchget mget count preview "
    "graphql _search _msearch _mget".split()
)
"""A POST to a route that ends in one of these asks; it changes nothing."""
WRITE_WORDS = frozenset(
    "delete remove destroy disable deactivate activate enable approve revoke cancel transfer "
    "withdraw unsubscribe reset-password change-password".split()
)
"""A GET of a route that ends in one of these changes something."""
INCOMING_WORDS = frozenset("deposit deposits tip tips gift gifts donation donations topup".split())
"""Money sent *to* somebody is not a foreign write."""


def effect_of(
    method: str, last_word: str, declared: Effect | None, override: str | None = None
) -> Effect:
    """Read or write: the configured effect, else the route's last word, else the method.

    A method-override header only ever makes a write of it: any client can send one, and where the
    service ignores it, it must hide nothing.
    """
    if declared is not None:
        return declared
    if override and override.upper() not in _READS and override.upper() != "POST":
        return "write"
    if method in _READS:
        return "write" if method in {"GET", ""} and last_word in WRITE_WORDS else "read"
    return "read" if method == "POST" and last_word in READ_WORDS else "write"


def outcome_of(
    method: str, effect: Effect, status: int, size: int, *, known_error: bool, graphql: bool
) -> Outcome:
    """What the answer means. `size` is body bytes, -1 where not logged; `status` 0 where none.

    `known_error`: a 200 of the size that this route's errors have.
    """
    if method in _IGNORED:
        return "ignored"
    if effect == "read":
        return _read_outcome(method, status, size, unsure=known_error or graphql)
    if 200 <= status < 300:
        return "possible" if status == 202 or known_error or graphql else "proven"
    if status == 0 or status >= 500 or status in {101, 304, 408, 499} or status in _REDIRECTS:
        return "possible"
    return "denied"


def _read_outcome(method: str, status: int, size: int, *, unsure: bool) -> Outcome:
    if 200 <= status < 300:
        if method == "HEAD" or status in {204, 205} or size == 0:
            return "metadata"
        return "possible" if status == 202 or unsure else "proven"
    if status in {101, 304}:
        return "possible"
    if status in _REDIRECTS:
        # Without a Location it may be a signed download as well as a login.
        return "metadata" if method == "HEAD" else "possible"
    # Nobody logged that there was no body, so there may have been one.
    return "possible" if status in {0, 499} and size != 0 else "denied"


def certainty_of(outcome: Outcome, basis: Basis, *, learned: bool = False) -> Certainty:
    """How sure an exposure with this outcome is. `learned`: nobody said that these are users."""
    if outcome == "proven":
        return "presumed" if basis == "claimed" or learned else "proven"
    return "possible" if outcome == "possible" else "attempted"
