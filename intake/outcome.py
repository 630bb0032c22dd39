"""What the answer to a request means: was data read or changed, perhaps, or not (JUDGEMENT).

In: method, status, body bytes, where it led and who refused it, and what the route knows. Out:
effect and outcome. Pure tables.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from intake.line import Parsed
from intake.settings import BlockAnswer
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

LOGIN_WORDS = frozenset(
    "login log-in log_in logon signin sign-in sign_in auth authorize authenticate sso saml saml2 "
    "adfs cas".split()
)
"""A redirect whose path has one of these among its last two segments asks who somebody is."""
_LOGIN_HOST = re.compile(
    r"(?:login|signin|auth|sso|idp|adfs|cas|keycloak)\..+|accounts\.google\.com|appleid\.apple\.com"
    r"|.+\.(?:okta|oktapreview|auth0|onelogin|amazoncognito|b2clogin|ciamlogin)\.com"
)
_PAGE = re.compile(r"\.(?:html?|php|aspx?|jspx?|do|cgi)$")
_CLIENT_LEFT = frozenset({499, 460})
"""What nginx and AWS load balancers write where the client did not wait for the answer."""
_NO_ANSWER = _CLIENT_LEFT | {101, 304, 408}
"""After these a write may have happened."""
_STATUSES = re.compile(r"\b[1-5]\d\d\b")


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
    if status == 0 or status >= 500 or status in _NO_ANSWER or status in _REDIRECTS:
        return "possible"
    return "denied"


def answer_of(
    line: Parsed,
    method: str,
    effect: Effect,
    own_blocks: Sequence[BlockAnswer],
    *,
    known_error: bool,
    graphql: bool,
    credential: bool,
) -> Outcome:
    """What the answer that a line logs means; `outcome_of`, and who gave the answer.

    `credential`: the route changes how people log in, and a change may lead to the login.
    """
    status = line.status
    for block in own_blocks:
        if (
            block.status == status
            and block.bytes in {None, line.bytes}
            and block.blocked_by in {None, line.blocked_by}
        ):
            return "ignored"
    if line.blocked_by is not None:
        return "denied"
    outcome = outcome_of(
        method, effect, status, line.bytes, known_error=known_error, graphql=graphql
    )
    if outcome != "possible" or status not in _REDIRECTS or line.location is None:
        return outcome
    changed = credential and effect == "write"
    return "denied" if is_login(line.location) and not changed else "possible"


def is_login(location: str) -> bool:
    """Whether a Location header leads to where one logs in, here or at an identity provider."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    words = [_PAGE.sub("", word) for word in parts.path.lower().split("/") if word]
    if not LOGIN_WORDS.isdisjoint(words[-2:]):
        return True
    return _LOGIN_HOST.fullmatch((parts.hostname or "").rstrip(".")) is not None


def last_status(upstreams: str) -> int:
    """The status of the upstream that answered last, of `502, 200` or `502 : 200`; 0 for none."""
    found = _STATUSES.findall(upstreams)
    return int(found[-1]) if found else 0


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
    return "possible" if (not status or status in _CLIENT_LEFT) and size != 0 else "denied"


def certainty_of(outcome: Outcome, basis: Basis, *, learned: bool = False) -> Certainty:
    """How sure an exposure with this outcome is. `learned`: nobody said that these are users."""
    if outcome == "proven":
        return "presumed" if basis == "claimed" or learned else "proven"
    return "possible" if outcome == "possible" else "attempted"
