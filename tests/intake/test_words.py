import pytest

from intake.words import is_id, is_owner_id, is_token, may_be_name, stem_of, word_of

UUID = "550e8400-e29b-41d4-a716-446655440000"

IDS = [
    ("17", True, True),
    (UUID, True, True),
    ("507f1f77bcf86cd799439011", True, True),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", True, True),
    ("alice@example.com", True, True),
    ("+17", True, True),
    (" 17", True, True),
    ("u-17", False, True),
    ("usr_live_8a7b", False, True),
    ("auth0|5f7c8ec7c33c6c004bbafe82", False, True),
    ("ord10023", False, True),
    ("18-bob", False, True),
    ("oauth2", False, False),
    ("v2", False, False),
    ("v1.1", False, False),
    ("v2beta1", False, False),
    ("es-419", False, False),
    ("2fa", False, False),
    ("2026-11-22", False, False),
    ("app.3f2a91.js", False, False),
    ("sha256", False, False),
    ("orders", False, False),
    ("reset-password", False, False),
    ("-", False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("segment", "first", "later"), IDS)
def test_is_id(segment, first, later):
    assert (is_id(segment, first=True), is_id(segment, first=False)) == (first, later)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("17", True),
        ("18abc", True),
        ("u-17", True),
        ("bob7", True),
        ("x9", True),
        ("18' OR 1=1", True),
        ("alice@example.com", True),
        ("@alice", True),
        ("auth0|5f7c", True),
        ("alice", False),
        ("alice.smith", False),
        ("2fa", False),
        ("v2", False),
        ("2026-11", False),
        ("18.png", False),
        ("app.3f2a91.js", False),
        ("+", False),
    ],
)
def test_is_owner_id(segment, expected):
    assert is_owner_id(segment) is expected


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("alice", True),
        ("alice.smith", True),
        ("alice-smith", True),
        ("Export", False),
        ("search", False),
        ("a", False),
        ("style.css", False),
        ("v2", False),
        ("a b", False),
        ("x" * 65, False),
    ],
)
def test_may_be_name(segment, expected):
    assert may_be_name(segment) is expected


@pytest.mark.parametrize(
    ("segment", "stem", "word"),
    [
        ("18.json", "18", "18"),
        ("18.PDF", "18", "18.pdf"),
        ("Profile.php", "Profile", "profile"),
        ("alice@example.com", "alice@example.com", "alice@example.com"),
        ("app.js", "app.js", "app.js"),
        (".json", ".json", ".json"),
        ("Users", "Users", "users"),
    ],
)
def test_stem_and_word(segment, stem, word):
    assert (stem_of(segment), word_of(segment)) == (stem, word)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x", True),
        ("x" * 65, True),
        ("0" * 65, False),
        ("a" * 60 + "@example.com", False),
        (UUID, False),
        ("eyJ", False),
    ],
)
def test_is_token(segment, expected):
    assert is_token(segment) is expected


@pytest.mark.parametrize("segment", ["a" + "1" * 30_000 + "!", "a1" * 15_000 + "!", "a@" * 15_000])
def test_long_segments_are_read_in_one_pass(segment):
    # Quadratic expressions would take minutes here.
    assert not is_id(segment, first=False)
    assert not may_be_name(segment)
    assert is_owner_id(segment)
