"""The words of the domain, as types: each Literal is a list that the documents and the code share.

Source of the meanings: docs/JUDGEMENT.md of the design. A new word is added here first.
"""

from enum import StrEnum
from typing import Literal

Provenance = Literal["verified", "gateway", "unverified", "asserted", ""]
"""How far a principal can be believed; "" where there is no principal."""

TokenFault = Literal["", "unsigned", "forged"]
"""What is false about a token: it says that nobody signed it, or its signature is wrong."""

Authentication = Literal["known", "anonymous", "unlogged"]
"""Known principal; logged credentials that were absent; or a log that does not say."""

Verdict = Literal["own", "foreign", "undetermined", "no_target"]
"""Whose data a request addressed, seen from its principal."""

Outcome = Literal["proven", "possible", "metadata", "denied", "ignored"]
"""What the answer means (table "What happened")."""

Certainty = Literal["proven", "presumed", "possible", "attempted"]
"""How sure an exposure is. presumed: a success that rests on a claim or a learned owner."""

Basis = Literal["owner_logged", "route", "ownership", "claimed", ""]
"""What named the target; "" where nothing did."""

Effect = Literal["read", "write"]

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
EVENT_SEVERITY: dict[Severity, int] = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""`event.severity` of a finding, the numbers that Elastic Security uses for the same words."""

ActorType = Literal["ip", "subnet", "principal", "session", "fingerprint", "route", "service"]

ActionKind = Literal[
    "block_ip", "block_principal", "revoke_session", "rate_limit", "strip_header", "protect_route",
    "quarantine_pod", "capture_evidence", "notify", "notify_breach",
]  # fmt: skip
Mode = Literal["simulate", "approval", "enforce"]
GuardVerdict = Literal["pass", "refuse", "approve"]
ReceiptState = Literal["wanted", "confirmed", "drifted", "failed", "expired"]

IncidentSeverity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
IncidentStatus = Literal["open", "investigating", "contained", "resolved", "closed"]
Cause = Literal["attack", "fault", "insider", "test", "unknown"]

TRUSTED: frozenset[Provenance] = frozenset({"verified", "gateway"})
"""Principals of these provenances may be named, exempted or blocked; below, they only compare."""

CONFIDENCE_CAP: dict[Provenance, float] = {
    "verified": 0.99, "gateway": 0.95, "unverified": 0.7, "asserted": 0.7, "": 0.6,
}  # fmt: skip
ENFORCEMENT_CONFIDENCE = 0.9


class Key(StrEnum):
    """What a detector's state is kept under; a signal goes once to each key that it has.

    ACTOR is who answers for a request: the principal if the log vouches for it, else the session,
    else the address.
    """

    ACTOR = "actor"
    ADDRESS = "ip"
    SUBNET = "subnet"
    PRINCIPAL = "principal"
    SESSION = "session"
    FINGERPRINT = "fingerprint"
    ROUTE = "route"
