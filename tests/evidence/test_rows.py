from evidence._columns import COLUMNS
from evidence.history import History
from evidence.rows import row_document, row_of
from intake.documents import event_document
from tests._events import event


def test_a_row_is_what_the_history_gives(tmp_path):
    one = event(3, tenant="t", late=True)
    with History(tmp_path) as history:
        history.append([one])
        (row,) = history.search()
    assert row_of(one) == row
    assert list(row_of(one)) == ["time_ms" if name == "time" else name for name in COLUMNS]


def test_a_document_is_that_of_parse_without_what_is_not_kept():
    one = event(3, tenant="t", object="o", basis="")
    expected = event_document(one, "access.log")
    for name in ("authentication", "address_trusted"):
        del expected["breachline"][name]
    assert row_document(row_of(one), "access.log") == expected
    del expected["log"]
    assert row_document(row_of(one)) == expected


def test_a_request_that_was_none_has_no_method_and_no_url():
    document = row_document(row_of(event(0, method="", path="", route="", status=400)))
    assert document["http"] == {"response": {"status_code": 400, "body": {"bytes": 512}}}
    assert "url" not in document
    assert "route" not in document["breachline"]
