"""Ids are what clients write: nobody gets their line joined to somebody else's."""

from tests.intake._logs import W3C, Logs


def test_an_attacker_cannot_pass_as_whom_they_repeat():
    """A fixed id: the attacker's line at the gateway must not get the neighbour's principal."""
    logs = Logs()
    logs.gw("fixed")  # the attacker's
    logs.gw("fixed")  # the neighbour's
    logs.svc("fixed", who="u-7", owners=("u-7",))
    logs.svc("fixed", who="mallory", owners=("u-7",))
    logs.rest()
    assert sorted(logs.seen) == ["gw-1", "gw-2", "svc-1", "svc-2"]


def test_nor_by_being_first():
    """Whoever had the id first has spent it: no later line of the same request is given away."""
    logs = Logs()
    logs.gw("fixed")
    assert logs.svc("fixed", who="u-7", owners=("u-7",)) == ["gw-1+svc-1"]
    assert logs.gw("fixed") == ["gw-2"]
    assert logs.svc("fixed", who="mallory", owners=("u-7",)) == ["svc-2"]


def test_nor_by_being_last():
    """Two callers at the service wait for one line at the gateway, and it may be of either."""
    logs = Logs()
    logs.svc("fixed", who="u-7", owners=("u-7",))
    logs.svc("fixed", who="mallory", owners=("u-7",))
    assert logs.gw("fixed") == []
    logs.gw("fixed")
    logs.rest()
    assert sorted(logs.seen) == ["gw-1", "gw-2", "svc-1", "svc-2"]


def test_nor_by_a_spelling():
    logs = Logs()
    logs.gw("fixed", path="/users/7")
    logs.gw("fixed", path="/users/%37?x")
    logs.svc("fixed", who="u-7")
    logs.rest()
    assert sorted(logs.seen) == ["gw-1", "gw-2", "svc-1"]


def test_one_id_of_requests_that_can_be_told_apart():
    """Every call of a page has the page's id; a retry after a refusal has it too."""
    logs = Logs()
    logs.gw("page", path="/users/7")
    logs.gw("page", path="/users/7/orders")
    logs.gw("page", path="/users/7", status=401)
    assert logs.svc("page", path="/users/7/orders") == ["gw-2+svc-1"]
    assert logs.svc("page", path="/users/7", status=401) == ["gw-3+svc-2"]
    assert logs.svc("page", path="/users/7") == ["gw-1+svc-3"]


def test_somebody_elses_id_on_another_path_joins_nobody():
    """Framing: mallory reads u-8 with the id of u-7's request."""
    logs = Logs()
    logs.gw("r7", path="/users/8")
    logs.gw("r7", path="/users/7")
    assert logs.svc("r7", path="/users/7", who="u-7") == ["gw-2+svc-1"]
    assert logs.svc("r7", path="/users/8", who="mallory") == ["gw-1+svc-2"]


def test_a_repeated_id_is_new_again_later():
    logs = Logs()
    logs.gw("r1")
    logs.svc("r1")
    for at_s in (30, 60):
        logs.gw("x", at_s=at_s)
        logs.svc("x", at_s=at_s)
    logs.gw("r1", at_s=61)
    assert logs.svc("r1", at_s=61) == ["gw-4+svc-4"]


def test_nor_by_a_flood_of_one_id():
    """What there was no room for is known to have been there."""
    logs = Logs()
    for number in range(32):
        logs.gw("fixed", path=f"/flood/{number}")
    logs.gw("fixed")
    logs.svc("fixed", path="/flood/1")
    logs.gw("fixed")
    logs.svc("fixed", who="u-7")
    logs.rest()
    assert [one for one in logs.seen if "+" in one] == ["gw-2+svc-1"]
    assert len(logs.seen) == 35


def test_nor_by_a_flood_of_one_trace():
    logs = Logs()
    for number in range(33):
        logs.svc(trace=W3C, path=f"/users/{number}")
    logs.gw(trace=W3C, path="/users/7")
    logs.rest()
    assert not [one for one in logs.seen if "+" in one]


def test_ten_thousand_lines_of_one_id_cost_what_others_do():
    logs = Logs()
    for number in range(10_000):
        logs.gw("same", path=f"/users/{number}", trace=W3C)
    assert len(logs.joiner._gateways.requests["same"]) == 32
    logs.rest()
    assert logs.joiner._gateways.requests == {}
    assert sorted(set(logs.seen)) == sorted(logs.seen)
    assert len(logs.seen) == 10_000


# How long a half waits.
