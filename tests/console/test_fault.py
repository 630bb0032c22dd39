import pytest

from console.fault import Refused, words

WORDS = [
    ("a file", FileNotFoundError(2, "No such file or directory", "a.zip"),
     "a.zip: no such file or directory"),
    ("no file", OSError(28, "No space left on device"), "no space left on device"),
    ("a path", PermissionError(13, "Permission denied", b"a.zip"), "b'a.zip': permission denied"),
    ("the store's own words", TimeoutError("opening the store: locked"),
     "opening the store: locked"),
    ("a value", ValueError("not so"), "not so"),
    ("nothing said", TimeoutError(), "TimeoutError"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "error", "expected"), WORDS, ids=[c[0] for c in WORDS])
def test_an_error_in_words(name, error, expected):
    assert words(error) == expected


def test_a_refusal_has_one_message_a_problem():
    assert Refused("one").problems == ["one"]
    assert (Refused(["one", "two"]).problems, str(Refused(["one", "two"]))) == (
        ["one", "two"], "one; two"
    )  # fmt: skip
