from contextlib import aclosing

import pytest
from elastic_transport import ApiError

from evidence.elastic._pages import pages, stepwise
from evidence.elastic.client import connect
from tests.evidence.elastic._searched import Searched

SORT = [{"@timestamp": {"order": "asc"}}]
DOCUMENTS = [{"@timestamp": n // 2} for n in range(7)]


def walk(server, **keywords):
    async def begin():
        async with (
            connect(server.options) as client,
            aclosing(pages(client, ["i-*"], {"match_all": {}}, SORT, **keywords)) as found,
        ):
            async for hits in found:
                yield hits

    return stepwise(begin)


@pytest.mark.parametrize(("size", "lengths"), [(3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)])
def test_every_hit_once_and_the_view_is_closed(size, lengths):
    with Searched(DOCUMENTS) as server:
        found = list(walk(server, size=size))
        assert [len(hits) for hits in found] == lengths
        assert [hit["_source"] for hits in found for hit in hits] == DOCUMENTS
        assert server.open == set()
        for body in server.asked:
            assert (body["size"], body["track_total_hits"]) == (size, False)


def test_nothing_found_is_no_page():
    with Searched([]) as server:
        assert list(walk(server)) == []
        assert server.open == set()


def test_who_leaves_early_closes_the_view():
    with Searched(DOCUMENTS) as server:
        found = walk(server, size=2)
        next(found)
        assert len(server.open) == 1
        found.close()
        assert server.open == set()
        assert len(server.asked) == 1


def error(kind, deep=""):
    cause = {"type": kind, "reason": deep}
    return {"error": {"type": "search_phase_execution_exception", "root_cause": [cause]}}


FAULTS = [
    ("a view that has ended", 404, error("search_context_missing_exception"), TimeoutError,
     "more than 5m went by between two pages"),
    ("a pattern of too many states", 400, error("too_complex_to_determinize_exception"),
     ValueError, "a pattern is too long for it"),
    ("another", 503, error("no_shard_available_action_exception"), ApiError, "503"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status", "body", "kind", "says"), FAULTS, ids=[c[0] for c in FAULTS]
)
def test_a_fault_between_pages_is_no_end(name, status, body, kind, says):
    with Searched(DOCUMENTS) as server:
        server.refuses = (2, status, body)
        found = walk(server, size=2)
        next(found)
        with pytest.raises(kind, match=says):
            next(found)
        assert server.open == set()
