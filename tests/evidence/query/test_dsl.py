"""What is asked; that it finds what `match` does is tested against the real server."""

import pytest

from evidence.query.dsl import clause
from evidence.query.fields import DOCUMENTS
from evidence.query.parse import parse
from tests._events import NOON_MS

CLAUSES = [
    ("everything", "", {"bool": {"filter": []}}),
    ("nothing", "source.ip:<::", {"match_none": {}}),
    ("a value", "rule.id:canary", {"term": {"rule.id": {"value": "canary"}}}),
    ("a network", "source.ip:192.0.2.0/24", {"term": {"source.ip": {"value": "192.0.2.0/24"}}}),
    ("addresses", "source.ip:{192.0.2.1 TO ::ffff:192.0.2.9]",
     {"range": {"source.ip": {"gte": "192.0.2.2", "lte": "192.0.2.9"}}}),
    ("a time", "@timestamp:>=now-1s",
     {"range": {"@timestamp": {"gte": NOON_MS - 1000, "format": "epoch_millis"}}}),
    ("numbers", "event.severity:[47 TO 73]", {"range": {"event.severity": {"gte": 47, "lt": 74}}}),
    ("decimals", "breachline.confidence:<0.9", {"range": {"breachline.confidence": {"lt": 0.9}}}),
    ("a pattern", r"user.id:u-*\?", {"wildcard": {"user.id": {"value": r"u-*\?"}}}),
    ("words", 'message:"User ids"', {"match_phrase": {"message": {"query": "User ids"}}}),
    ("a field", "user.id:*", {"exists": {"field": "user.id"}}),
    ("values of one field", "user.id:(a OR b OR c)", {"terms": {"user.id": ["a", "b", "c"]}}),
    ("either", "user.id:a OR rule.id:b",
     {"bool": {"minimum_should_match": 1, "should": [
         {"term": {"user.id": {"value": "a"}}}, {"term": {"rule.id": {"value": "b"}}}]}}),
    ("not", "user.id:a AND NOT rule.id:b",
     {"bool": {"filter": [
         {"term": {"user.id": {"value": "a"}}},
         {"bool": {"must_not": [{"term": {"rule.id": {"value": "b"}}}]}}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query", "asked"), CLAUSES, ids=[c[0] for c in CLAUSES])
def test_clauses(name, query, asked):
    assert clause(parse(query, DOCUMENTS, NOON_MS)) == asked
