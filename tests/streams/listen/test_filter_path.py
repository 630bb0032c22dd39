import pytest

from streams.listen._filter_path import filtered

ANSWER = {
    "took": 3,
    "errors": True,
    "items": [
        {"create": {"_id": "1", "status": 201}},
        {"delete": {"_id": "2", "status": 400, "error": {"type": "x", "reason": "y"}}},
    ],
}


@pytest.mark.parametrize(
    ("filter_path", "expected"),
    [
        ("took", {"took": 3}),
        ("errors,took", {"took": 3, "errors": True}),
        (
            "errors,items.*.error,items.*.status",
            {
                "errors": True,
                "items": [
                    {"create": {"status": 201}},
                    {"delete": {"status": 400, "error": {"type": "x", "reason": "y"}}},
                ],
            },
        ),
        ("items.*.error.reason", {"items": [{"delete": {"error": {"reason": "y"}}}]}),
        ("items.cr*.status", {"items": [{"create": {"status": 201}}]}),
        ("**.status", {"items": [{"create": {"status": 201}}, {"delete": {"status": 400}}]}),
        ("**", ANSWER),
        ("-items", {"took": 3, "errors": True}),
        (
            "items,-items.*.error",
            {
                "items": [
                    {"create": {"_id": "1", "status": 201}},
                    {"delete": {"_id": "2", "status": 400}},
                ]
            },
        ),
        ("nothing.like.it", {}),
        (" , ", ANSWER),
    ],
)
def test_only_what_is_asked_for_is_left(filter_path, expected):
    assert filtered(ANSWER, filter_path) == expected


def test_many_patterns_cost_little():
    for pattern in ("**." * 200 + "x", "**.*." * 200 + "x", "*" * 50 + "x", "." * 500):
        assert filtered(ANSWER, ",".join([pattern] * 1000)) == {}
