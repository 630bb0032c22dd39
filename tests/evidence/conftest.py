"""Records and stores for the tests of this room."""

import hashlib

import pytest
from msgspec.structs import replace

from evidence.store import EmbeddedStore
from records.event import AccessEvent, Actor, Exposure, RawLine
from records.ids import event_id
from tests._events import HERE, NOON_MS, action, event, finding, incident, receipt


class Make:
    """Records with synthetic values; each call names what matters to the test."""

    noon_ms = NOON_MS
    finding = staticmethod(finding)
    incident = staticmethod(incident)
    action = staticmethod(action)
    receipt = staticmethod(receipt)

    def event(self, n: int = 0, **changes) -> AccessEvent:
        texts = {"host": "api.example.test", "user_agent": "agent/1", "request_id": f"r-{n}"}
        return event(n, **texts | changes)

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
            ip="203.0.113.7",
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


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened
