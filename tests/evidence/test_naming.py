"""Who is named, and who is not because another's id is like theirs."""

import pytest

from evidence.naming import Name

CASES = [
    # name, value, named exactly, mentioned as a word
    ("the id", "u-1", True, True),
    ("an actor", "principal:u-1", True, True),
    ("in a list", {"a": [1, {"b": ["x", "u-1"]}]}, True, True),
    ("as a key", {"u-1": 3}, True, True),
    ("in a tuple", ("u-1",), True, True),
    ("in prose", "u-1 read 3 users in 2 s", False, True),
    ("at its end", "read by u-1.", False, True),
    ("in a path", "/users/u-1/x", False, True),
    ("another id", "u-11", False, False),
    ("an id that ends so", "xu-1", False, False),
    ("an address that begins so", "u-1@example.org", False, False),
    ("a name that goes on", "u-1.smith", False, False),
    ("a part", "a-u-1", False, False),
    ("numbers", [1, None, True, 2.5], False, False),
]


@pytest.mark.parametrize(("name", "value", "exact", "mentioned"), CASES, ids=[c[0] for c in CASES])
def test_named_or_not(name, value, exact, mentioned):
    person = Name("u-1")
    assert (person.is_in(value), person.is_mentioned(value)) == (exact, mentioned), name


def test_every_mention_is_replaced_and_nothing_else():
    value = {"actor": ("principal", "u-1"), "u-1": ["u-11", "u-1 and u-1, u-12", 7, None]}
    assert Name("u-1").replaced(value, "x") == {
        "actor": ("principal", "x"), "x": ["u-11", "x and x, u-12", 7, None],
    }  # fmt: skip


def test_an_id_is_no_pattern():
    assert not Name("u.1").is_mentioned("uX1")
    assert Name("a|b").replaced("a|b", r"\1") == r"\1"


def test_a_plain_word_may_be_the_name_of_a_field():
    person = Name("event")
    assert not person.is_in({"event": 1})
    assert person.is_in({"event": "event"})
    assert person.replaced({"event": ["event"]}, "x") == {"event": ["x"]}


@pytest.mark.parametrize("word", ["", "open", "critical", "principal", "gateway"])
def test_a_word_of_the_domain_is_nobodys_id(word):
    with pytest.raises(ValueError, match="no id that can be told from our own words"):
        Name(word)
