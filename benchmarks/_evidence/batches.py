"""What a detection batch leaves in the store: lines, findings, an incident, actions, receipts.

Numbers come in, the same records for the same number go out; a hundred entries of the log each.
Nothing is timed here.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from benchmarks.traffic import requests
from evidence.elastic import documents
from evidence.elastic.bulk import Document
from evidence.log import Captured
from evidence.store import EmbeddedStore
from incidents.documents import finding_document, incident_document
from records.event import Actor, RawLine
from records.finding import Finding
from records.ids import digest, event_id
from records.incident import Action, Coverage, Guard, Incident, Receipt

ENTRIES = 100
LINES = 85
FINDINGS = 10
ACTIONS = 2
"""And as many receipts: with the incident's entry they make a hundred."""
_SOURCE = digest("gateway-0")
_LOG = "gateway-0.log"


class Batch(NamedTuple):
    """One transaction's worth."""

    at_ms: int
    incident: Incident
    lines: list[RawLine]
    findings: list[tuple[str, dict[str, Any]]]
    """(id, document), each naming some of the lines."""
    actions: list[Action]
    receipts: list[Receipt]


def batches(count: int, space: str = "") -> Iterator[Batch]:
    """That many; all of their ids differ between two spaces, and their lengths do not."""
    traffic, offset = requests(count * LINES), 0
    for number in range(count):
        incident_name = f"inc-{digest(space, number)}"
        lines = []
        for request in (next(traffic) for _ in range(LINES)):
            data = request.ndjson().encode()
            event = event_id(digest(space, _SOURCE), offset)
            lines.append(RawLine(event, sha256(data).hexdigest(), data, masked=False))
            offset += len(data) + 1
        at_ms = request.time_ms
        actor = Actor("ip", f"{request.ip}")
        findings = [
            _finding(digest(space, number, n), actor, at_ms, lines[n * 8 : n * 8 + 8])
            for n in range(FINDINGS)
        ]
        actions = [
            _action(f"act-{digest(space, number, n)}", actor, at_ms, incident_name)
            for n in range(ACTIONS)
        ]
        yield Batch(
            at_ms=at_ms,
            incident=_incident(incident_name, actor, at_ms, [name for name, _ in findings]),
            lines=lines,
            findings=findings,
            actions=actions,
            receipts=[
                Receipt(action=one.id, state="confirmed", at_ms=at_ms, point="gateway", detail="")
                for one in actions
            ],
        )


def write(store: EmbeddedStore, batch: Batch) -> None:
    """The batch as one durable transaction."""
    at_ms, name = batch.at_ms, batch.incident.id
    with store.transaction():
        store.add_lines(batch.lines, at_ms)
        for finding, document in batch.findings:
            store.log.append("finding", finding, at_ms, finding, document)
        document = incident_document(batch.incident)
        store.log.append("incident", f"{name}@{batch.incident.version}", at_ms, name, document)
        for line in batch.lines:
            store.log.append_captured(line, name, at_ms)
        for action in batch.actions:
            store.log.append_intent(action)
        for receipt in batch.receipts:
            store.log.append_receipt(receipt)


def as_documents(store: EmbeddedStore) -> list[Document]:
    """What Elasticsearch is told of the log: each entry, and before it the finding that it is."""
    events = {
        entry.seq: msgspec.json.decode(entry.payload or b"", type=Captured).event
        for entry in store.log.entries()
        if entry.kind == "captured"
    }
    lines = {line.event: line for line in store.lines(events.values())}
    made = []
    for entry in store.log.entries():
        if entry.kind == "finding":
            made.append(documents.finding(msgspec.json.decode(entry.payload or b"")))
        made.append(documents.entry(entry, lines.get(events.get(entry.seq, "")), _LOG))
    return made


def _finding(
    name: str, actor: Actor, at_ms: int, lines: list[RawLine]
) -> tuple[str, dict[str, Any]]:
    finding = Finding(
        id=f"fin-{name}",
        rule="identity_fanout",
        name="Many user ids from one address",
        version="1",
        reference="https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level/",
        severity="high",
        confidence=0.95,
        actor=actor,
        members=(actor,),
        ips=(actor.value,),
        users=tuple(f"u-{int(name[:8], 16) + n:010d}" for n in range(len(lines))),
        start_ms=at_ms - 1000,
        end_ms=at_ms,
        episode_day=at_ms // 86_400_000,
        episode_ordinal=0,
        message=f"{actor.value} got data of {len(lines)} other users",
        explain={"targets": len(lines), "limit": 5, "window_s": 600},
        evidence=tuple(line.event for line in lines),
    )
    places = {line.event: (_LOG, 0, line.sha256) for line in lines}
    return finding.id, finding_document(finding, places)


def _action(name: str, actor: Actor, at_ms: int, incident: str) -> Action:
    return Action(
        id=name,
        kind="block_ip",
        target=actor.value,
        until_ms=at_ms + 3_600_000,
        mode="enforce",
        reason="identity_fanout (high): 8 other users",
        incident=incident,
        findings=(),
        guard=Guard("pass", "all guards passed"),
        decided_ms=at_ms,
    )


def _incident(name: str, actor: Actor, at_ms: int, findings: list[str]) -> Incident:
    return Incident(
        id=name,
        version=1,
        severity="SEV1",
        status="open",
        cause="attack",
        breach=True,
        title=f"{actor.value} reached the data of 80 people",
        actors=(actor,),
        findings=tuple(findings),
        rules=("identity_fanout",),
        first_seen_ms=at_ms - 1000,
        last_seen_ms=at_ms,
        awareness_ms=at_ms,
        affected_count=80,
        affected_upper=80,
        coverage=Coverage(from_ms=at_ms - 1000, complete=True),
    )
