import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.query._scan import DEEPEST, LONGEST, scan

MENDED = [
    ("nothing to mend", "user.id:u-17 AND NOT a:b", "user.id:u-17 AND NOT a:b"),
    ("a path", "url.path:/users/*", "url.path:\\/users\\/*"),
    ("an address of IPv6", "source.ip:2001:db8::1", "source.ip:2001\\:db8\\:\\:1"),
    ("one in a group", "source.ip:(::1 OR 2001:db8::/32)",
     "source.ip:(\\:\\:1 OR 2001\\:db8\\:\\:\\/32)"),
    ("one without a field", "2001:db8::1", "2001\\:db8\\:\\:1"),
    ("no address", "abc:def", "abc:def"),
    ("a time with a zone", "t:>=2026-11-22T10:00:00+01:00", "t:>=2026-11-22T10\\:00\\:00+01\\:00"),
    ("times in a range", "t:[2026-11-22T10:00:00Z TO 2026-11-22T11:00:00+01:00]",
     "t:[2026-11-22T10\\:00\\:00Z TO 2026-11-22T11\\:00\\:00+01\\:00]"),
    ("negative values", "n:-5 AND n:>-5 AND n:[-5 TO -1]",
     "n:\\-5 AND n:>\\-5 AND n:[\\-5 TO \\-1]"),
    ("a minus that excludes", "-a:b AND c:(d -e)", "-a:b AND c:(d -e)"),
    ("a field in a group stays one", "a:(b OR user.id:c)", "a:(b OR user.id:c)"),
    ("quotes are left alone", 'a:"/x:y-" b', 'a:"/x:y-" b'),
    ("escapes are left alone", "a:\\/x\\:y", "a:\\/x\\:y"),
    ("a space after the colon", "a: -b", "a: \\-b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "typed", "text"), MENDED, ids=[c[0] for c in MENDED])
def test_what_is_mended(name, typed, text):
    assert scan(typed).text == text


BROKEN = [
    ("a quote", 'a:"b', "at character 3: the quote is never closed"),
    ("a quote behind an escape", 'a:"b\\"', "at character 3: the quote is never closed"),
    ("a bracket", "(a:b AND (c:d)", "at character 1: '(' is never closed"),
    ("a range", "a:[1 TO 2", "at character 3: '[' is never closed"),
    ("a bracket too many", "a:b)", "at character 4: ')' closes nothing"),
    ("the wrong bracket", "a:[1 TO 2)", "at character 10: ')' closes nothing"),
    ("too deep", "(" * (DEEPEST + 1), f"at character {DEEPEST + 1}: more than {DEEPEST} open"),
    ("too long", "a" * (LONGEST + 1), f"the query has {LONGEST + 1:,} characters: at most"),
]


@pytest.mark.parametrize(("name", "typed", "says"), BROKEN, ids=[c[0] for c in BROKEN])
def test_what_is_broken(name, typed, says):
    with pytest.raises(ValueError) as caught:
        scan(typed)
    assert str(caught.value).startswith(says)


@given(st.text(st.sampled_from('ab1:/\\"()[]{}<>=+-* TO'), max_size=30))
def test_places_are_those_of_what_was_typed(typed):
    try:
        found = scan(typed)
    except ValueError:
        return
    assert len(found.places) == len(found.text) + 1
    # Where two characters have one place, the first is a backslash that was put in.
    pairs = zip(found.text, found.places, found.places[1:], strict=False)
    assert "".join(c for c, place, after in pairs if place != after) == typed
    assert found.places == sorted(found.places)
    assert found.place(-1) == 0
    assert found.place(10_000) == len(typed)
