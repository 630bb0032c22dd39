"""What a query means for one document; that Elasticsearch and the history agree is tested there."""

import pytest

from evidence.query.fields import DOCUMENTS, EVENTS
from evidence.query.match import matcher
from evidence.query.parse import parse
from evidence.query.tree import EVERYTHING, NOTHING
from tests._events import NOON_MS

DOCUMENT = {
    "@timestamp": "2026-11-22T12:00:00.000Z",
    "event": {"id": "fin-1", "severity": 73, "dataset": "breachline.finding"},
    "rule": {"id": "canary", "reference": ""},
    "source": {"ip": "203.0.113.7"},
    "related": {"ip": ["203.0.113.7", "2001:db8::1"], "user": ["u-17", "ü*1", "x" * 1025]},
    "message": "203.0.113.7 claimed 12 user ids (limit 10)",
    "breachline": {
        "confidence": 0.97,
        "evidence": [{"event": "a-1", "masked": False}, {"event": "a-2", "masked": True}],
        "explain": {"limit": 5, "ratio": 0.5, "over": True, "who": ["u-1", "u-2"]},
    },
}
FITS = [
    "event.id:fin-1", "NOT event.id:fin-2", "related.user:u-17", "related.user:u-1?", "rule.id:*",
    'related.user:"ü*1"', "related.user:ü*", "related.ip:2001:db8::/32", "source.ip:203.0.113.0/24",
    "related.ip:[2001:db8:: TO 2001:db8::ff]", "source.ip:<203.0.113.8", "event.severity:>=73",
    "event.severity:[70 TO 80}", "breachline.confidence:0.97", "breachline.confidence:>0.96",
    "breachline.evidence.masked:true AND breachline.evidence.masked:false",
    "breachline.evidence.event:{a-1 TO a-2]", "@timestamp:2026-11-22", "@timestamp:[now TO now]",
    "message:CLAIMED", 'message:"user ids"', "message:203.0.113.7", "message:cla?med",
    "breachline.explain.limit:5", "breachline.explain.ratio:0.5", "breachline.explain.over:true",
    "breachline.explain.who:u-2", "breachline.explain:u-2", "breachline.explain.limit:*",
    "rule.reference:*", "claimed", "u-17", "2001:db8::1", "NOT user.id:*", "*",
]  # fmt: skip
DOES_NOT = [
    "event.id:FIN-1", "event.id:fin", "related.user:u-1", "related.user:\\?-17", "rule.id:?canary",
    "related.ip:192.0.2.0/24", "source.ip:>203.0.113.7", "event.severity:<73", "user.id:*",
    "breachline.confidence:<0.97", "breachline.evidence.event:{a-1 TO a-2}",
    "@timestamp:>now", "@timestamp:2026-11-21", 'message:"ids user"', "message:claim",
    "breachline.explain.limit:5.0", "breachline.explain.none:*", "breachline.explain.who:u",
    f"related.user:{'x' * 1025}", "NOT event.id:fin-1", "nobody", "event.id:fin-1 AND NOT claimed",
]  # fmt: skip


@pytest.mark.parametrize("query", FITS)
def test_what_fits(query):
    assert matcher(parse(query, DOCUMENTS, NOON_MS))(DOCUMENT)


@pytest.mark.parametrize("query", DOES_NOT)
def test_what_does_not(query):
    assert not matcher(parse(query, DOCUMENTS, NOON_MS))(DOCUMENT)


PATTERNS = [
    ("a*b", ["ab", "axb", "abb", "a\nb"], ["a", "b", "abx", "xab"]),
    ("*ab*ab*", ["abab", "xabxabx", "ababab"], ["ab", "aab"]),
    ("*ab", ["ab", "aab", "abab"], ["aba", "b"]),
    ("a**b?*", ["abc", "aabcd"], ["ab", "a"]),
    ("?*?", ["ab", "abc"], ["a"]),
    ("*.?*", [".a", "x.yz"], ["a.", "."]),
]


@pytest.mark.parametrize(("pattern", "fit", "other"), PATTERNS, ids=[c[0] for c in PATTERNS])
def test_patterns(pattern, fit, other):
    fits = matcher(parse(f"user.id:{pattern}", DOCUMENTS, NOON_MS))
    assert [value for value in [*fit, *other] if fits({"user": {"id": value}})] == fit


def test_a_pattern_of_a_hundred_stars_ends():
    fits = matcher(parse(f"user.id:{'*x' * 100}*y", DOCUMENTS, NOON_MS))
    assert not fits({"user": {"id": "x" * 1000}})
    assert fits({"user": {"id": "x" * 1000 + "y"}})


def test_everything_and_nothing():
    assert matcher(EVERYTHING)({})
    assert not matcher(NOTHING)(DOCUMENT)


ODD = [
    ("an address that is none", {"source": {"ip": "gateway"}}, "source.ip:*"),
    ("a text for a number", {"http": {"response": {"status_code": "x"}}},
     "http.response.status_code:*"),
    ("true for a number", {"http": {"response": {"status_code": True}}},
     "http.response.status_code:*"),
    ("no time", {"@timestamp": "soon"}, "@timestamp:*"),
    ("an object for a value", {"user": {"id": {"name": "x"}}}, "user.id:*"),
    ("nothing", {"user": {"id": None}}, "user.id:*"),
    ("an empty list", {"user": {"id": []}}, "user.id:*"),
    ("a value where an object should be", {"user": "x"}, "user.id:*"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "document", "query"), ODD, ids=[c[0] for c in ODD])
def test_a_value_of_another_type_is_none(name, document, query):
    assert not matcher(parse(query, EVENTS, NOON_MS))(document)
