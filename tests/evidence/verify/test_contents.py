import hashlib

import msgspec
import pytest

from evidence.entry import commit, leaf
from evidence.verify.contents import (
    Captured,
    Leaf,
    commitment_of,
    leaf_of,
    line_problem,
    misplaced,
    read_leaf,
)

C = b"\x0f" * 32


def test_the_bytes_are_those_of_the_writer():
    assert leaf_of(b"read", -5, C) == leaf("read", -5, C)
    assert commitment_of(b"salt", "é".encode(), b"{}") == commit(b"salt", "é", b"{}")
    assert read_leaf(leaf("read", -5, C)) == Leaf(-5, C, b"read")


NO_LEAF = [
    b"", leaf_of(b"read", 5, C) + b" ", leaf_of(b"READ", 5, C), leaf_of(b"", 5, C),
    leaf_of(b"read", 5, C[1:]), leaf_of(b"read", 5, C).replace(b":5", b":05"),
    leaf_of(b"read", 5, C).replace(b":5", b":-0"), leaf_of(b"read", 5, C).replace(b"0f", b"0F"),
    leaf_of(b'read"', 5, C), leaf_of(b"read", 5, C).replace(b"at", b"ax"),
]  # fmt: skip


@pytest.mark.parametrize("data", NO_LEAF)
def test_a_leaf_has_one_spelling(data):
    assert read_leaf(data) is None


PLACES = [
    ("intent", b"act-1", b"intent", 5, b"act-1", {"id": "act-1", "decided_ms": 5}, ""),
    ("receipt", b"r", b"receipt", 5, b"act-1", {"action": "act-1", "at_ms": 5}, ""),
    ("other subject", b"r", b"receipt", 5, b"act-2", {"action": "act-1", "at_ms": 5},
     "it is filed under 'act-2', and is of 'act-1'"),
    ("other time", b"r", b"captured", 6, b"inc-1", {"incident": "inc-1", "at_ms": 5},
     "its leaf has the time 6, and its content 5"),
    ("other kind", b"r", b"approval", 6, b"inc-1", {"incident": "inc-1", "at_ms": 5},
     "its content is not that of its kind"),
    ("no object", b"r", b"approval", 6, b"inc-1", [5], "its content is not that of its kind"),
    ("its id", b"hld-1", b"hold", 5, b"hld-1", {}, ""),
    ("in its content", b"rd-1", b"read", 5, b"inc-1", {"incident": "inc-1"}, ""),
    ("of all", b"rd-1", b"read", 5, b"", {}, ""),
    ("the kind", b"cfg-1", b"configuration", 5, b"configuration", {}, ""),
    ("the name of a key", b"key-1", b"key", 5, b"a/b", {"new": "a/b+0f+AQ"}, ""),
    ("not the name of a key", b"key-1", b"key", 5, b"a", {"new": "a/b+0f+AQ"},
     "its subject 'a' is not in its content"),
    ("not in its content", b"rd-1", b"read", 5, b"inc-2", {"incident": "inc-1"},
     "its subject 'inc-2' is not in its content"),
]  # fmt: skip


@pytest.mark.parametrize("case", PLACES, ids=[case[0] for case in PLACES])
def test_columns_say_what_the_content_says(case):
    _, entry_id, kind, at_ms, subject, content, says = case
    assert misplaced(entry_id, kind, at_ms, subject, msgspec.json.encode(content)) == says


def sha(data):
    return hashlib.sha256(data).hexdigest()


LINES = [
    ("as it was", Captured("e", sha(b"x"), False), sha(b"x"), 0, sha(b"x"), ""),
    ("not here", Captured("e", sha(b"x"), False), sha(b"x"), 0, "", ""),
    ("masked", Captured("e", sha(b"x"), True), sha(b"x"), 1, sha(b"m"), ""),
    ("masked, with the digest of what was kept",
     Captured("e", sha(b"x"), True, sha(b"m")), sha(b"x"), 1, sha(b"m"), ""),
    ("masked, and changed", Captured("e", sha(b"x"), True, sha(b"m")), sha(b"x"), 1, sha(b"n"),
     "it has not the SHA-256 that was captured"),
    ("changed", Captured("e", sha(b"x"), False), sha(b"x"), 0, sha(b"y"),
     "it has not the SHA-256 that was captured"),
    ("another digest", Captured("e", sha(b"x"), False), sha(b"y"), 0, sha(b"y"),
     "the SHA-256 beside it is not the one that was captured"),
    ("now masked", Captured("e", sha(b"x"), False), sha(b"x"), 1, sha(b"m"),
     "whether it was masked is not what was captured"),
    ("masked in another way", Captured("e", sha(b"x"), True), sha(b"x"), 3, sha(b"m"),
     "whether it was masked is not what was captured"),
]  # fmt: skip


@pytest.mark.parametrize("case", LINES, ids=[case[0] for case in LINES])
def test_a_line_is_the_one_that_was_captured(case):
    _, captured, digest, masked, kept, says = case
    assert line_problem(captured, digest, masked, kept) == says
