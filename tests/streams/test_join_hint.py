import pytest

from intake.frames import SourceState
from streams.hints import Hint
from streams.join_hint import join_hint, unjoined_hint
from streams.tally import Tally

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


BOTH = "intake.join.gateway or intake.join.service"


@pytest.mark.parametrize(
    ("name", "joined", "unmatched", "says"),
    [
        ("some", 1, {"gateway": 9, "service": 9}, ""),
        ("none", 0, {"gateway": 9, "service": 8},
         "No line of the gateway's 9 was joined to one of the services' 8."),
        ("no gateway", 0, {"service": 8},
         "No log that was read is one of intake.join.gateway: nothing was joined."),
        ("no service", 0, {"gateway": 8},
         "No log that was read is one of intake.join.service: nothing was joined."),
        ("neither", 0, {},
         f"No log that was read is one of {BOTH}: nothing was joined."),
    ],
)  # fmt: skip
def test_logs_that_are_to_be_joined_and_are_not(name, joined, unmatched, says):
    hint = unjoined_hint(Tally(events=17, joined=joined, unmatched=unmatched), 10.0)
    assert ("" if hint is None else hint.says) == says


def test_nothing_read_is_no_reason():
    assert unjoined_hint(Tally(), 10.0) is None
