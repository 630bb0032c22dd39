import pytest

from evidence._redact import Masks

MASKS = Masks(["u-2", "u-1", "ada lovelace", "7", "a/b", "a/b/c", ""], ["o-1", "u-1"])
CASES = [
    ("an id", "u-1", "user-5"),
    ("an object", "o-1", "object-1"),
    ("nobody", "u-12", "u-12"),
    ("in a sentence", "u-1 read u-2's data, o-1.", "user-5 read user-6's data, object-1."),
    ("in a path", "/users/u-1/orders/o-1?by=u-2", "/users/user-5/orders/object-1?by=user-6"),
    ("a part of a word", "xu-1 u-1x", "xu-1 u-1x"),
    ("a number", "7 of 70", "user-1 of 70"),
    ("with a space", "by ada lovelace", "by user-4"),
    ("one in another", "see a/b/c and a/b", "see user-3 and user-2"),
    ("nothing", "", ""),
]


@pytest.mark.parametrize(("name", "text", "expected"), CASES, ids=[c[0] for c in CASES])
def test_an_id_in_a_text(name, text, expected):
    assert MASKS.text(text) == expected


def test_everything_in_a_document():
    document = {"user": {"id": "u-1"}, "u-2": ["u-2", 7, None, True], "reads": 7, "t": ("o-1",)}
    assert MASKS.document(document) == {
        "user": {"id": "user-5"},
        "user-6": ["user-6", 7, None, True],
        "reads": 7,
        "t": ["object-1"],
    }
