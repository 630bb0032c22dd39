"""The words that an incident needs in STIX 2.1: markings, what our rules are called elsewhere, ids.

Tables only. The ids of TLP 2.0 and of its extension are those that OASIS has published; the others
are ours, and must never change: a receiver knows an object again by its id.
"""

from typing import NamedTuple
from uuid import UUID

from records.kinds import ActionKind

NAMESPACE = UUID("6d0f9c1e-5f0b-4a57-9a5e-3f4f3b0f7c52")
"""Of the name-based ids of all objects whose id STIX does not fix itself."""
EXTENSION = "extension-definition--8c1b0e4a-73d5-4e0b-9f60-2b8f1d7a6c39"
"""Ours: the numbers of an incident, and the evidence of a finding."""
EXTENSION_TEXT = (
    "Property extension of Breachline. On incident: its id, version, severity, status, cause and "
    "rules; breach (true: personal data was read or changed); affected_count (people whose data "
    "was proven or presumed reached), affected_upper (with possible ones), attempted_count, "
    "unknown_objects (objects whose owner nobody could name), records_count, categories, coverage "
    "(from when the logs were looked at, and what they lack) and clocks (GDPR art. 33). On "
    "observed-data: the finding's id, rule, version, severity, confidence, numbers that decided, "
    "and evidence: for each log line its event id, source, offset of its first byte in the "
    "decompressed log, and, where affected users are named, SHA-256 of its bytes as logged."
)
BORN = "2026-11-22T00:00:00.000Z"
"""When the objects that are the same in every bundle were made."""

TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
TLP_BORN = "2022-10-01T00:00:00.000Z"
TLP: dict[str, str] = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
"""TLP 2.0 level -> its marking."""


class Pattern(NamedTuple):
    """A way of attacking, and where else it is described: (source, id there, URL)."""

    name: str
    description: str
    references: tuple[tuple[str, str, str], ...]


_OWASP = "https://owasp.org/API-Security/editions/2023/en/"
_API1 = ("owasp-api-security", "API1:2023", f"{_OWASP}0xa1-broken-object-level-authorization/")
_API2 = ("owasp-api-security", "API2:2023", f"{_OWASP}0xa2-broken-authentication/")
_OBJECTS = Pattern(
    "Broken object level authorization (IDOR, BOLA)",
    "A client asks for objects by the ids of other people, and the service does not check whose "
    "they are.",
    (("cwe", "CWE-639", "https://cwe.mitre.org/data/definitions/639.html"), _API1),
)
_HEADER = Pattern(
    "Forged identity header",
    "A client writes a header that names somebody else, or that only the gateway may write, and "
    "the service believes it.",
    (
        ("capec", "CAPEC-21", "https://capec.mitre.org/data/definitions/21.html"),
        ("cwe", "CWE-290", "https://cwe.mitre.org/data/definitions/290.html"),
        _API1,
    ),
)
_POLLUTION = Pattern(
    "HTTP parameter pollution",
    "A client names the owner of an object twice, so that one part of the service checks the one "
    "and another part uses the other.",
    (
        ("capec", "CAPEC-460", "https://capec.mitre.org/data/definitions/460.html"),
        ("cwe", "CWE-235", "https://cwe.mitre.org/data/definitions/235.html"),
        _API1,
    ),
)
_NO_LOGIN = Pattern(
    "Read of personal data without a login",
    "A route that names an owner answers a client that gave no credentials.",
    (("cwe", "CWE-306", "https://cwe.mitre.org/data/definitions/306.html"), _API2),
)
_CREDENTIAL = Pattern(
    "Credential of another used in a session",
    "One session shows several subjects or issuers, an unsigned token, or a service's token from "
    "elsewhere.",
    (("cwe", "CWE-287", "https://cwe.mitre.org/data/definitions/287.html"), _API2),
)

PATTERNS: dict[str, Pattern] = {
    "cross_user_read": _OBJECTS,
    "cross_user_write": _OBJECTS,
    "cross_tenant": _OBJECTS,
    "identity_fanout": _OBJECTS,
    "distributed_fanout": _OBJECTS,
    "slow_fanout": _OBJECTS,
    "denied_burst": _OBJECTS,
    "object_enumeration": _OBJECTS,
    "bulk_read": _OBJECTS,
    "canary": _OBJECTS,
    "header_present": _HEADER,
    "header_mismatch": _HEADER,
    "parameter_pollution": _POLLUTION,
    "unauthenticated_read": _NO_LOGIN,
    "principal_switch": _CREDENTIAL,
}
"""rule.id -> what it shows. `context_failure` and `anomaly` show no attack by themselves."""

ACTIONS: dict[ActionKind, str] = {
    "block_ip": "Block the address",
    "block_principal": "Block the account",
    "revoke_session": "Revoke the session",
    "rate_limit": "Limit the rate",
    "strip_header": "Strip the header",
    "protect_route": "Protect the route",
    "quarantine_pod": "Quarantine the pod",
    "capture_evidence": "Keep the evidence",
    "notify": "Notify",
    "notify_breach": "Notify of the breach",
}
NAMES_A_TARGET: frozenset[str] = frozenset(
    {"block_ip", "strip_header", "protect_route", "quarantine_pod"}
)
"""Kinds whose target is never a person's id."""
