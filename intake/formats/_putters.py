"""How values that are not simply texts get into a line: headers, credentials, ids, statuses.

A line and a decoded value in; the line has it. `PUTTERS` holds them by the field that a name
means (`_names.py`). A value that says nothing MUST leave the line as it was.
"""

import re
from collections.abc import Callable
from typing import Any

from intake.formats._names import session_cookie
from intake.formats._values import NOTHING, joined, text, trace_id_of
from intake.line import Parsed

Put = Callable[[Parsed, Any], None]
"""Puts a logged value into a line."""

_REDACTED = re.compile(
    r"(?:\w+ +)?\W*(?:redacted|masked|filtered|secret|hidden|removed|sensitive|[*xX.•]{3,})\W*",
    re.IGNORECASE,
)


def _put_forwarded(parsed: Parsed, value: Any) -> None:
    if (chain := joined(value, ", ")) is not None:
        parsed.forwarded = chain


def _put_elements(parsed: Parsed, value: Any) -> None:
    if (chain := joined(value, ", ")) is not None:
        parsed.forwarded_elements = chain


def _put_client(parsed: Parsed, value: Any) -> None:
    # Two that differ are none: one of them is what the client sent along.
    if (address := joined(value, ", ")) is not None and address != parsed.client:
        parsed.client = f"{parsed.client}, {address}" if parsed.client else address


def _put_hop(parsed: Parsed, value: Any) -> None:
    # What the PROXY protocol says comes from the last proxy, and is nearer than any header.
    if (address := text(value)) is not None:
        parsed.forwarded = f"{parsed.forwarded}, {address}" if parsed.forwarded else address


def _put_cookie(parsed: Parsed, value: Any) -> None:
    if parsed.session is None and (header := joined(value, "; ")) is not None:
        parsed.session = session_cookie(header)


def _put_authorization(parsed: Parsed, value: Any) -> None:
    while value.__class__ is list and value:
        value = value[0]
    if value.__class__ is str and len(value) < 40 and _is_redacted(value):
        # There was a credential, but not to be read here: neither known nor anonymous.
        parsed.logs_principal = False
    elif (credential := text(value)) is not None:
        parsed.authorization = credential


def _is_redacted(value: str) -> bool:
    if value in NOTHING:
        return value not in {"", "-"}
    return _REDACTED.fullmatch(value) is not None


def _put_remote_user(parsed: Parsed, value: Any) -> None:
    if parsed.asserted is None and (name := text(value)) is not None:
        parsed.asserted = name
        parsed.basic_user = True


def _put_trace(parsed: Parsed, value: Any) -> None:
    if (logged := text(value)) is not None:
        parsed.trace_id = trace_id_of(logged)


def _put_owners(parsed: Parsed, value: Any) -> None:
    items = value if value.__class__ is list else [value]
    texts = [item for each in items if (item := text(each)) is not None]
    owners = tuple(part for item in texts for raw in item.split(",") if (part := raw.strip()))
    if owners:
        parsed.owners = owners


def _put_upstream_status(parsed: Parsed, value: Any) -> None:
    if (statuses := joined(value, ", ")) is not None:
        parsed.upstream_status = statuses


def _put_code(parsed: Parsed, value: Any) -> None:
    # Of this name are errors of all kinds, too.
    if not parsed.status and value.__class__ is int and 100 <= value < 600:
        parsed.status = value


def _put_redirect(parsed: Parsed, value: Any) -> None:
    # Of this name is a region of a cloud, too.
    if (said := text(value)) is not None and said.startswith(("/", "http://", "https://")):
        parsed.location = said


def internal(header: str) -> Put:
    """Notes that a line carries this internal header."""

    def put(parsed: Parsed, value: Any) -> None:
        if text(value) is not None and header not in parsed.internal:
            parsed.internal = (*parsed.internal, header)

    return put


def claim(at: int) -> Put:
    """Adds what the identity header of this number says; the first one's is a plain text."""

    def put(parsed: Parsed, value: Any) -> None:
        if (said := joined(value, ",")) is not None:
            others = [other for other in parsed.other_claims if other[0] != at]
            parsed.other_claims = tuple(sorted([*others, (at, said)]))

    return put


def put_of(field: str) -> Put:
    """What puts a field into a line that is not simply a text."""
    kind, _, which = field.partition(":")
    if kind == "claim":
        return claim(int(which))
    return PUTTERS.get(field) or internal(which)


PUTTERS: dict[str, Put] = {
    "forwarded": _put_forwarded,
    "forwarded_elements": _put_elements,
    "client": _put_client,
    "hop": _put_hop,
    "code": _put_code,
    "cookie": _put_cookie,
    "authorization": _put_authorization,
    "remote_user": _put_remote_user,
    "owners": _put_owners,
    "redirect": _put_redirect,
    "trace": _put_trace,
    "upstream_status": _put_upstream_status,
}
"""By field; identity headers after the first have `claim`, internal headers `internal`."""
