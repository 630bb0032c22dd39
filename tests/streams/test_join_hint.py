import pytest

from intake.frames import SourceState
from streams.hints import Hint
from streams.join_hint import join_hint

SOURCES = {
    "a": SourceState("a", "/var/log/orders.log", format="ecs"),
    "b": SourceState("b", "/var/log/edge.log", format="nginx"),
    "c": SourceState("c", "/var/log/audit.log", format="json"),
}


@pytest.mark.parametrize(
    ("name", "alike", "gateway", "service"),
    [
        ("a gateway's format", {("a", "b"): 0.9}, "edge.log", "orders.log"),
        ("the two that have most", {("a", "c"): 0.3, ("b", "c"): 0.4}, "edge.log", "audit.log"),
        ("two services", {("a", "c"): 0.3}, "audit.log", "orders.log"),
    ],
)
def test_two_logs_of_the_same_requests(name, alike, gateway, service):
    assert join_hint(SOURCES, alike, 7) == Hint(
        "join",
        7,
        f"{gateway} and {service} have request ids in common: each request is two events here, "
        "and neither has both the client's address and the user.",
        f'intake: {{join: {{gateway: ["{gateway}"], service: ["{service}"]}}}}    # if '
        f"{gateway} is the gateway's",
    )


@pytest.mark.parametrize("alike", [{}, {("a", "b"): 0.05}])
def test_an_id_that_somebody_repeats_is_no_reason(alike):
    assert join_hint(SOURCES, alike, 7) is None
