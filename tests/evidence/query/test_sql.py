"""The history's SQL: the same rows as `match` finds documents, with every value bound."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence._columns import Columns, concatenated
from evidence.query.fields import EVENTS
from evidence.query.match import matcher
from evidence.query.parse import parse
from evidence.query.sql import MACROS, condition
from evidence.query.values import address, address_number
from evidence.rows import row_document, row_of
from tests._events import NOON_MS, event
from tests.evidence.query._random import (
    ADDRESSES,
    EVENT_QUERIES,
    IDS,
    NO_ADDRESSES,
    PATHS,
    changes,
)


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as opened:
        for macro in MACROS:
            opened.execute(macro)
        yield opened


def found(db, events, node):
    columns = Columns()
    columns.add(events)
    db.register("events", concatenated([columns.take()]))
    sql, values = condition(node)
    return {e for (e,) in db.execute(f"SELECT event FROM events WHERE {sql}", values).fetchall()}


@given(EVENT_QUERIES, st.lists(changes(), min_size=1, max_size=12))
def test_it_finds_the_rows_whose_documents_match(db, query, differences):
    events = [event(n, **one) for n, one in enumerate(differences)]
    node = parse(query, EVENTS, NOON_MS)
    fits = matcher(node)
    assert found(db, events, node) == {e.id for e in events if fits(row_document(row_of(e)))}


SAID = [
    ("a value is bound", 'user.id:"x\' OR true"', "(principal = ?)", ["x' OR true"]),
    ("a missing value is no value", "http.response.status_code:0", "false", []),
    ("nothing is in no network", "source.ip:[192.0.2.9 TO 192.0.2.1]", "false", []),
    (
        "a list holds a value", "breachline.targets:u-1",
        "list_contains(targets, ?)", ["u-1"],
    ),
    (
        "a list has one that fits", "breachline.targets:u-*",
        "(len(list_filter(targets, lambda x: (starts_with(x, ?) AND x <> ''))) > 0)", ["u-"],
    ),
    (
        "a time is milliseconds", "@timestamp:>=now-1s",
        "(time >= make_timestamp_ms(?))", [NOON_MS - 1000],
    ),
    (
        "a beginning needs no LIKE", "url.original:/users/*",
        "(starts_with(path, ?) AND path <> '')", ["/users/"],
    ),
    (
        "LIKE's own signs are escaped", "user.id:?a_%!*",
        "(principal LIKE ? ESCAPE '!' AND principal <> '')", ["_a!_!%!!%"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "sql", "values"), [c[1:] for c in SAID], ids=[c[0] for c in SAID]
)
def test_what_is_said(query, sql, values):
    assert condition(parse(query, EVENTS, NOON_MS)) == (sql, values)


def test_an_address_has_the_key_of_its_128_bits(db):
    texts = [*ADDRESSES, *NO_ADDRESSES, *IDS, *PATHS, "1:2:3:4:5:6:7:8", "1::2:3:4:5:6:7:8", "G::1"]
    for text in texts:
        try:
            expected = f"{address_number(address(text)):032x}"
        except ValueError:
            expected = ""
        assert db.execute("SELECT address_key(?)", [text]).fetchone() == (expected,), text


def test_a_field_that_the_history_lacks_is_refused():
    from evidence.query.fields import DOCUMENTS

    with pytest.raises(ValueError, match=r"^rule\.id is no field of the history$"):
        condition(parse("rule.id:canary", DOCUMENTS, 0))
