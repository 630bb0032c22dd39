"""Records and stores for the tests of this room."""

import hashlib

import pytest
from msgspec.structs import replace

from evidence.store import EmbeddedStore
from records.event import AccessEvent, Actor, Exposure, RawLine
from records.finding import Finding
from records.ids import event_id
from records.incident import Action, Coverage, Guard, Incident, Receipt

NOON_MS = 1_790_000_000_000
HERE = Actor("ip", "192.0.2.7")


class Make:
    """Records with synthetic values; each call names what matters to the test."""

    noon_ms = NOON_MS

    def event(self, n: int = 0, **changes) -> AccessEvent:
        event = AccessEvent(
            id=event_id("a1b2", n * 100),
            source="a1b2",
            offset=n * 100,
            time_ms=NOON_MS + n * 1000,
            ip="192.0.2.7",
            ip_trusted=True,
            method="GET",
            path=f"/users/u-{n}/profile",
            route="/users/{owner}/profile",
            status=200,
            bytes=512,
            host="api.example.test",
            user_agent="agent/1",
            request_id=f"r-{n}",
            principal="u-1",
            provenance="gateway",
            authentication="known",
            claimed="",
            session="5e55",
            tenant="",
            targets=(f"u-{n}",),
            object="",
            category="unclassified",
            effect="read",
            outcome="proven",
            basis="route",
            verdict="foreign",
            allowed="",
            cross_site=False,
            late=False,
        )
        return replace(event, **changes)

    def events(self, start: int, stop: int) -> list[AccessEvent]:
        return [self.event(n) for n in range(start, stop)]

    def exposure(self, n: int = 0, actor: Actor = HERE, **changes) -> Exposure:
        exposure = Exposure(
            event=event_id("a1b2", n * 100),
            time_ms=NOON_MS + n * 1000,
            actor=actor,
            session="5e55",
            principal="u-1",
            provenance="asserted",
            ip="192.0.2.7",
            fingerprint="f1",
            target=f"u-{n}",
            object="o-1",
            route="/users/{owner}/profile",
            category="unclassified",
            effect="write",
            certainty="presumed",
            basis="claimed",
            verdict="undetermined",
        )
        return replace(exposure, **changes)

    def line(self, n: int = 0, data: bytes = b"GET /users/7", masked: bool = False) -> RawLine:
        logged = data + b"?token=1" if masked else data
        return RawLine(event_id("a1b2", n * 100), hashlib.sha256(logged).hexdigest(), data, masked)

    def finding(self, finding_id: str = "fin-1", **changes) -> Finding:
        finding = Finding(
            id=finding_id,
            rule="identity_fanout",
            name="Many user ids from one address",
            version="1",
            reference="",
            severity="high",
            confidence=0.97,
            actor=Actor("ip", "192.0.2.7"),
            members=(Actor("session", "5e55"),),
            start_ms=NOON_MS,
            end_ms=NOON_MS + 1000,
            episode_day=20717,
            episode_ordinal=0,
            message="192.0.2.7 claimed 12 user ids",
            explain={"ids": 12, "limit": 10, "routes": ["/users/{owner}"]},
            evidence=(event_id("a1b2", 0), event_id("a1b2", 100)),
        )
        return replace(finding, **changes)

    def incident(self, incident_id: str = "inc-1", **changes) -> Incident:
        incident = Incident(
            id=incident_id,
            version=1,
            severity="SEV2",
            status="open",
            cause="attack",
            breach=False,
            title="Users read by 192.0.2.7",
            actors=(Actor("ip", "192.0.2.7"),),
            findings=("fin-1",),
            rules=("identity_fanout",),
            first_seen_ms=NOON_MS,
            last_seen_ms=NOON_MS + 1000,
            awareness_ms=NOON_MS + 1000,
            coverage=Coverage(from_ms=NOON_MS, complete=True),
        )
        return replace(incident, **changes)

    def action(self, action_id: str = "act-1", **changes) -> Action:
        action = Action(
            id=action_id,
            kind="block_ip",
            target="192.0.2.7",
            until_ms=NOON_MS + 3_600_000,
            mode="simulate",
            reason="identity_fanout",
            incident="inc-1",
            findings=("fin-1",),
            guard=Guard("pass", ""),
            decided_ms=NOON_MS,
        )
        return replace(action, **changes)

    def receipt(self, action: str = "act-1", **changes) -> Receipt:
        receipt = Receipt(
            action=action, state="confirmed", at_ms=NOON_MS + 5, point="gateway", detail="200"
        )
        return replace(receipt, **changes)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened
