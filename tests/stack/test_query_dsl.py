"""The same query finds the same documents in Elasticsearch as `match` does, whatever it says."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.elastic.templates import templates
from evidence.query.dsl import clause
from evidence.query.fields import DOCUMENTS, EVENTS
from evidence.query.match import matcher
from evidence.query.parse import parse
from evidence.query.values import words
from evidence.rows import row_document, row_of
from tests._events import NOON_MS, event
from tests.evidence.query._random import (
    DOCUMENT_QUERIES,
    EVENT_QUERIES,
    LONG,
    MESSAGES,
    WORDS,
    changes,
    documents,
)

COUNT = 150


def event_mapping():
    properties: dict[str, Any] = {}
    for field in EVENTS.values():
        *parents, leaf = field.name.split(".")
        at = properties
        for parent in parents:
            at = at.setdefault(parent, {"properties": {}})["properties"]
        at[leaf] = {"type": field.kind}
    return {"dynamic": False, "properties": properties}


def document_mapping():
    """That of our templates, with what this server knows."""
    lacking = frozenset({"constant_keyword", "match_only_text", "wildcard"})
    made = {"dynamic": "false", "properties": {}}

    def merge(into, more):
        for name, value in more.items():
            merge(into.setdefault(name, {}), value) if isinstance(value, dict) else into.update(
                {name: value}
            )

    for template in templates(86_400, lacking):
        if template.kind == "component":
            merge(made, template.body["template"].get("mappings", {}))
    return made


def fill(elasticsearch, index, mapping, sources):
    elasticsearch.ask("PUT", index, {"mappings": mapping})
    for n, source in enumerate(sources):
        status, answer = elasticsearch.ask("PUT", f"{index}/_create/{n}", source)
        assert status == 201, answer
    elasticsearch.ask("POST", f"{index}/_refresh")
    return sources


def some(strategy):
    """So many of a strategy's examples, the same in every run."""
    found = []

    @settings(
        max_examples=COUNT, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def collect(one):
        found.append(one)

    collect()
    return found


@pytest.fixture(scope="module")
def events(elasticsearch):
    made = [row_document(row_of(event(n, **one))) for n, one in enumerate(some(changes()))]
    return fill(elasticsearch, "query-events", event_mapping(), made)


@pytest.fixture(scope="module")
def kept(elasticsearch):
    return fill(elasticsearch, "query-documents", document_mapping(), some(documents()))


def found(elasticsearch, index, node):
    body = {"query": clause(node), "size": COUNT + 1, "_source": False}
    status, answer = elasticsearch.ask("POST", f"{index}/_search", body)
    assert status == 200, answer
    return {int(hit["_id"]) for hit in answer["hits"]["hits"]}


@settings(max_examples=300)
@given(EVENT_QUERIES)
def test_events_are_the_same(elasticsearch, events, query):
    node = parse(query, EVENTS, NOON_MS)
    fits = matcher(node)
    assert found(elasticsearch, "query-events", node) == {
        n for n, document in enumerate(events) if fits(document)
    }


@settings(max_examples=300)
@given(DOCUMENT_QUERIES)
def test_documents_are_the_same(elasticsearch, kept, query):
    node = parse(query, DOCUMENTS, NOON_MS)
    fits = matcher(node)
    assert found(elasticsearch, "query-documents", node) == {
        n for n, document in enumerate(kept) if fits(document)
    }


@settings(max_examples=300)
@given(
    st.text(st.sampled_from("aZ09éß _-.,:;'\u2019·/@#&(日本の\t"))
    | st.text(st.sampled_from("aZ0 -.,:カタ日"))
    | st.sampled_from([*MESSAGES, *WORDS, LONG])
)
def test_words_are_cut_alike(elasticsearch, text):
    body = {"analyzer": "standard", "text": text}
    tokens = elasticsearch.ask("POST", "_analyze", body)[1]["tokens"]
    assert words(text) == [token["token"] for token in tokens]
