from evidence.elastic.search import order_key, search, within
from evidence.query.dsl import clause
from evidence.query.fields import DOCUMENTS
from evidence.query.parse import parse
from evidence.query.tree import EVERYTHING, And, Between
from records.ids import iso
from tests._events import NOON_MS
from tests.evidence.elastic._searched import Searched

FOUND = [
    {"@timestamp": iso(NOON_MS + n), "event": {"id": f"e{n}", "dataset": "d"}} for n in range(2_500)
]
CANARY = parse("rule.id:canary", DOCUMENTS, NOON_MS)


def test_all_of_it_in_order_whatever_the_pages():
    with Searched(FOUND) as server:
        assert list(search(server.options, CANARY)) == FOUND
        assert [body["query"] for body in server.asked] == [clause(CANARY)] * 3
        (time, name, dataset) = server.asked[0]["sort"]
        assert [*time, *name, *dataset] == ["@timestamp", "event.id", "event.dataset"]
        assert server.open == set()


def test_a_limit_asks_for_no_more():
    with Searched(FOUND) as server:
        assert list(search(server.options, CANARY, limit=7)) == FOUND[:7]
        assert [body["size"] for body in server.asked] == [7]
        assert list(search(server.options, CANARY, limit=1_200)) == FOUND[:1_200]
        assert server.open == set()


def test_time_is_a_part_of_the_query():
    between = Between(DOCUMENTS["@timestamp"], 5, 9)
    assert within(CANARY, None, None) == CANARY
    assert within(CANARY, 5, 9) == And((CANARY, between))
    assert within(EVERYTHING, 5, 9) == between
    with Searched(FOUND) as server:
        list(search(server.options, CANARY, since_ms=5, until_ms=9))
        assert server.asked[0]["query"] == clause(And((CANARY, between)))


def test_documents_are_sorted_as_they_come():
    others = [*FOUND[1_000:], *FOUND[:1_000]]
    assert sorted(others, key=order_key) == FOUND
