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
    assert join_hint(SOURCES, alike, 7, 0) == Hint(
        "join",
        7,
        f"{gateway} and {service} have request ids in common: each request is two events here, "
        "and neither has both the client's address and the user.",
        f'intake: {{join: {{gateway: ["{gateway}"], service: ["{service}"]}}}}    # if '
        f"{gateway} is the gateway's",
    )


@pytest.mark.parametrize("alike", [{}, {("a", "b"): 0.05}])
def test_an_id_that_somebody_repeats_is_no_reason(alike):
    assert join_hint(SOURCES, alike, 7, 5) is None


def test_a_log_without_any_client():
    sources = {**SOURCES, "d": SourceState("d", "/var/log/wallets.log")}
    assert join_hint(sources, {}, 7, 1200) == Hint(
        "join",
        1200,
        "1,200 lines name no client. If wallets.log is of a service behind edge.log, the lines of "
        "a request can be joined by a request or trace id that both log.",
        'intake: {join: {gateway: ["edge.log"], service: ["wallets.log"]}}    # if edge.log is '
        "the gateway's",
    )
    assert join_hint(sources, {}, 7, 0) is None
    assert join_hint({"d": sources["d"]}, {}, 7, 1200) is None
