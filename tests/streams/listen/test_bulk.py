import pytest

from streams.listen.bulk import Item, Malformed, answer, items

DOC = b'{"message": "x"}'


def lines(*parts):
    return b"\n".join(parts) + b"\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            lines(b'{"create":{"_index":"a","_id":"1"}}', DOC),
            [Item("create", "a", "1", DOC)],
        ),
        (lines(b'{"index":{}}', DOC), [Item("index", "default", "", DOC)]),
        (lines(b'{"index":{"_id":null,"_type":"_doc"}}', DOC), [Item("index", "default", "", DOC)]),
        (lines(b'{"index":{"_id":7}}', DOC), [Item("index", "default", "7", DOC)]),
        (b'{"create":{}}\r\n' + DOC + b"\r\n", [Item("create", "default", "", DOC)]),
        (b'{"create":{}}\n' + DOC, [Item("create", "default", "", DOC)]),
        (lines(b"", b'{"create":{}}', DOC, b"", b""), [Item("create", "default", "", DOC)]),
        (
            lines(b'{"delete":{"_id":"1"}}', b'{"update":{"_id":"2"}}', b'{"doc":{}}'),
            [Item("delete", "default", "1"), Item("update", "default", "2")],
        ),
        # No access record, and still an item: a bad line must not block its shipper.
        (lines(b'{"create":{}}', b"not json"), [Item("create", "default", "", b"not json")]),
        (
            lines(*[b'{"create":{}}', DOC] * 3),
            [Item("create", "default", "", DOC)] * 3,
        ),
    ],
)
def test_items(body, expected):
    assert items(body, "default") == expected


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "request body is required"),
        (b"\n\n", "request body is required"),
        (lines(DOC, DOC), r"line \[1\], expected one of"),
        (lines(b'{"create":{}}', DOC, b"nonsense", DOC), r"line \[3\]: it is not JSON"),
        (lines(b'{"create":{},"index":{}}', DOC), r"line \[1\]: it is not an object with one"),
        (lines(b"[]", DOC), r"line \[1\]: it is not an object"),
        (lines(b'{"create":[]}', DOC), r"line \[1\], expected one of"),
        (lines(b'{"create":{"_id":{}}}', DOC), "_index and _id are texts"),
        (lines(b'{"create":{"_index":1}}', DOC), "_index and _id are texts"),
        (lines(b'{"create":{}}'), "the action in line 1 has no document"),
        (lines(b'{"create":{}}', DOC, b'{"index":{}}', b""), "the action in line 3 has no doc"),
    ],
)
def test_a_body_that_is_no_bulk_request_is_refused_with_the_line(body, says):
    with pytest.raises(Malformed, match=says):
        items(body, "default")


def test_the_answer_is_that_of_elasticsearch():
    found = [Item("create", "a", "1", DOC), Item("index", "a", "", DOC), Item("delete", "a", "3")]
    created = {
        "_index": "a", "_version": 1, "result": "created", "_primary_term": 1, "status": 201,
        "_shards": {"total": 1, "successful": 1, "failed": 0},
    }  # fmt: skip
    reason = "delete: lines of a log are added, never changed or removed"
    assert answer(found, 5, 0xAB) == {
        "took": 5,
        "errors": True,
        "items": [
            {"create": {**created, "_id": "1", "_seq_no": 0}},
            {"index": {**created, "_id": "ab-1", "_seq_no": 1}},
            {
                "delete": {
                    "_index": "a", "_id": "3", "status": 400,
                    "error": {"type": "illegal_argument_exception", "reason": reason},
                }
            },
        ],
    }  # fmt: skip
    assert answer(found[:1], 5, 1, "errors,items.*.status") == {
        "errors": False, "items": [{"create": {"status": 201}}],
    }  # fmt: skip
