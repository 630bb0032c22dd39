import pytest

from intake.spaces import Spaces, canonical_id, id_space, is_distinctive, is_same, spelled

UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("value", "space"),
    [
        ("17", "integer"),
        (UUID, "uuid"),
        (UUID.upper(), "uuid"),
        (UUID.replace("-", ""), "hex"),
        ("507f1f77bcf86cd799439011", "hex"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "ulid"),
        ("alice@example.com", "email"),
        ("u-17", "prefix:u-"),
        ("U-17", "prefix:u-"),
        ("usr_8a7b", "prefix:usr_"),
        ("user17", "prefix:user"),
        ("abcdef12-e29b-41d4-a716-446655440000", "uuid"),
        ("alice", "name"),
        ("batch-reports", "name"),
        ("aZ3kQ9x", "name"),
        ("", "name"),
    ],
)
def test_id_space(value, space):
    assert id_space(value) == space


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("17", "17"),
        ("017", "17"),
        ("000", "0"),
        ("+17", "17"),
        (" 17\t", "17"),
        ("17\0", "17"),
        ('"17"', "17"),
        ("\uff11\uff17", "17"),
        ("\u0661\u0667", "17"),
        ("-17", "-17"),
        ("17.0", "17.0"),
        (UUID.upper(), UUID),
        ("{" + UUID + "}", UUID),
        ("urn:uuid:" + UUID, UUID),
        (UUID.replace("-", ""), UUID.replace("-", "")),
        ("Alice@Example.COM", "alice@example.com"),
        ("Alice", "Alice"),
        ("aB3", "aB3"),
        ("9" * 5000, "9" * 5000),
        ("\u00b2", "\u00b2"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_canonical_id(value, canonical):
    assert canonical_id(value) == canonical
    assert canonical_id(canonical) == canonical


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        ("integer", "18-bob", "18"),
        ("integer", "18.0", "18"),
        ("integer", "18abc", "18"),
        ("integer", "018' OR 1=1", "18"),
        ("integer", "u-18", "u-18"),
        ("integer", UUID, UUID),
        ("integer", "507f1f77bcf86cd799439011", "507f1f77bcf86cd799439011"),
        ("integer", "507f191e", "507f191e"),
        ("prefix:u-", "U-18", "u-18"),
        ("prefix:u-", "18", "18"),
        ("uuid", UUID.replace("-", "").upper(), UUID),
        ("hex", UUID, UUID.replace("-", "")),
        ("hex", "507F1F77BCF86CD799439011", "507f1f77bcf86cd799439011"),
        ("name", "Alice", "Alice"),
    ],
)
def test_spelled(space, value, expected):
    assert spelled(value, space) == expected


@pytest.mark.parametrize(
    ("one", "other", "space", "expected"),
    [
        ("u-17", "U-17", "prefix:u-", True),
        ("alice", "Alice", "name", True),
        ("aB3x", "Ab3x", "name", False),
        ("17", "18", "integer", False),
    ],
)
def test_is_same(one, other, space, expected):
    assert is_same(one, other, space) is expected


def test_distinctive_spaces_name_the_same_kind_of_thing():
    spaces = ["prefix:u-", "email", "integer", "uuid", "hex", "name", "ulid", ""]
    assert [is_distinctive(space) for space in spaces] == [True, True, *[False] * 6]


def spaces_of(**fields):
    spaces = Spaces()
    for field, values in fields.items():
        for value in values:
            spaces.note(field, value)
    return spaces


NUMBERS = [str(n) for n in range(100, 160)]
NAMES = [f"name{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}" for n in range(60)]


@pytest.mark.parametrize(
    ("name", "fields", "principal", "other", "expected"),
    [
        ("numbers", {}, "17", "18", True),
        ("UUID against number", {}, UUID, "18", False),
        ("number against e-mail", {"principal": NUMBERS}, "17", "a@example.com", False),
        ("two prefixes", {}, "u-17", "o-18", False),
        ("service among numbers", {"principal": NUMBERS}, "batch", "18", True),
        ("word in a numbered field", {"principal": NUMBERS, "f": NUMBERS}, "17", "export", False),
        ("names", {"principal": NAMES, "f": NAMES}, "alice", "bob7", True),
        ("names against numbers", {"principal": NAMES, "f": NUMBERS}, "alice", "18", False),
        ("a field full of junk hides nothing", {"f": NAMES}, "17", "18", True),
        ("principals full of junk hide nothing", {"principal": NAMES}, "17", "18", True),
    ],
)
def test_comparable(name, fields, principal, other, expected):
    assert spaces_of(**fields).comparable(principal, "f", other) is expected, name


def test_a_settled_field_stays():
    spaces = spaces_of(f=NUMBERS)
    assert (spaces.of("f"), spaces.is_settled("f")) == ("integer", True)
    for value in NAMES * 2:
        spaces.note("f", value)
    assert spaces.of("f") == "integer"


def test_a_value_counts_once():
    spaces = spaces_of(f=["17", *["alice"] * 99, "18"])
    assert (spaces.of("f"), spaces.is_settled("f")) == ("integer", False)


def test_no_majority_is_no_space():
    assert spaces_of(f=["17", "alice"]).of("f") == ""
    assert spaces_of().of("f") == ""


def test_what_clients_wrote_says_what_principals_are_only_where_nothing_else_does():
    assert spaces_of(asserted=NAMES).of("principal") == "name"
    assert spaces_of(asserted=NAMES, principal=["17"]).of("principal") == "integer"


def test_names():
    spaces = spaces_of(principal=["alice", "17"])
    assert [spaces.is_name(word) for word in ("Alice", "bob", "17")] == [True, False, False]
    assert [s.people_have_names for s in (spaces, spaces_of(principal=NAMES))] == [False, True]
    assert not spaces_of(principal=NUMBERS).people_have_names


def test_a_number_first_means_nothing_where_ids_are_not_numbers():
    spaces = spaces_of(principal=NUMBERS, slugs=NAMES)
    assert spaces.spelled("17", "ids", "18-bob") == "18"
    assert spaces.spelled("17", "slugs", "18-bob") == "18-bob"


def test_dump_and_load():
    before = spaces_of(principal=NAMES, f=NUMBERS, g=["17", "alice", "18"])
    after = Spaces()
    after.load(before.dump())
    assert after.dump() == before.dump()
    for spaces in (before, after):
        spaces.note("g", "bob")
        spaces.note("g", "17")
    assert after.dump() == before.dump()
    assert [after.of(f) for f in ("principal", "f", "g")] == ["name", "integer", ""]


def test_bounded_in_fields_and_values(monkeypatch):
    monkeypatch.setattr("intake.spaces._MAX_FIELDS", 5)
    monkeypatch.setattr("intake.spaces._MAX_NAMES", 7)
    spaces = Spaces()
    for number in range(400):
        for field in ("principal", f"f{number}"):
            spaces.note(field, f"{'ab' * (number % 2)}-{number}-{number}")
            spaces.note(field, f"x{'y' * number}")
    assert len(spaces._values) + len(spaces._settled) <= 5
    assert max(len(values.seen) for values in spaces._values.values()) <= 200
    assert len(spaces._names) == 7


@pytest.mark.parametrize(
    "value", ["a" * 20_000 + "!", "a1" * 10_000 + "!", "1" * 20_000 + "!", "a@" + "." * 20_000]
)
def test_long_ids_are_read_in_one_pass(value):
    # Quadratic expressions would take minutes here.
    assert id_space(value) == "name"
    assert canonical_id(value) == value
