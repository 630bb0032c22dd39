"""Records with synthetic values for tests of the shell; each call names what matters."""

from msgspec.structs import replace

from records.event import AccessEvent, Actor
from records.finding import Finding
from records.ids import event_id, iso
from records.incident import Action, Coverage, Guard, Incident, Receipt

NOON_MS = 1_795_348_800_000
assert iso(NOON_MS) == "2026-11-22T12:00:00.000Z"
HERE = Actor("ip", "203.0.113.7")


def event(n: int = 0, **changes) -> AccessEvent:
    made = AccessEvent(
        id=event_id("a1b2", n * 100),
        source="a1b2",
        offset=n * 100,
        time_ms=NOON_MS + n * 1000,
        ip="203.0.113.7",
        ip_trusted=True,
        method="GET",
        path=f"/users/u-{n}/profile",
        route="/users/{owner}/profile",
        status=200,
        bytes=512,
        host="",
        user_agent="",
        request_id="",
        principal="u-66",
        provenance="gateway",
        authentication="known",
        claimed="",
        session="5e55",
        tenant="",
        targets=(f"u-{n}",),
        object="",
        category="contact",
        effect="read",
        outcome="proven",
        basis="route",
        verdict="foreign",
        allowed="",
        cross_site=False,
        late=False,
    )
    return replace(made, **changes)


def finding(finding_id: str = "fin-1", **changes) -> Finding:
    made = Finding(
        id=finding_id,
        rule="identity_fanout",
        name="Many user ids from one address",
        version="1",
        reference="",
        severity="high",
        confidence=0.97,
        actor=HERE,
        members=(Actor("session", "5e55"),),
        ips=("203.0.113.7",),
        start_ms=NOON_MS,
        end_ms=NOON_MS + 1000,
        episode_day=20_779,
        episode_ordinal=0,
        message="203.0.113.7 got data of 5 other users",
        explain={"targets": 5, "limit": 5},
        evidence=(event_id("a1b2", 0), event_id("a1b2", 100)),
    )
    return replace(made, **changes)


def incident(incident_id: str = "inc-1", **changes) -> Incident:
    made = Incident(
        id=incident_id,
        version=1,
        severity="SEV1",
        status="open",
        cause="attack",
        breach=True,
        title="203.0.113.7 reached the data of 5 people",
        actors=(HERE,),
        findings=("fin-1",),
        rules=("identity_fanout",),
        first_seen_ms=NOON_MS,
        last_seen_ms=NOON_MS + 1000,
        awareness_ms=NOON_MS + 1000,
        affected_count=5,
        affected_upper=5,
        coverage=Coverage(from_ms=NOON_MS, complete=True),
    )
    return replace(made, **changes)


def action(action_id: str = "act-1", **changes) -> Action:
    made = Action(
        id=action_id,
        kind="block_ip",
        target="203.0.113.7",
        until_ms=NOON_MS + 3_600_000,
        mode="simulate",
        reason="identity_fanout (high): 5 other users",
        incident="inc-1",
        findings=("fin-1",),
        guard=Guard("pass", "all guards passed"),
        decided_ms=NOON_MS,
    )
    return replace(made, **changes)


def receipt(action_id: str = "act-1", **changes) -> Receipt:
    made = Receipt(
        action=action_id, state="confirmed", at_ms=NOON_MS, point="gateway", detail="blocked"
    )
    return replace(made, **changes)
