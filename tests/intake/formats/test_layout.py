import pytest

from intake.formats._layout import Layout, Slot, check, pattern, segments

TEXT = Slot("$agent", "agent", "text")
OTHER_TEXT = Slot("$user", "user", "text")
ODD = Slot("$mine", "mine", "unknown")
OTHER_ODD = Slot("$yours", "yours", "unknown")
STATUS = Slot("$status", "status", "fixed", r"\d{3}")


def layout(*pieces, escaped=True):
    return Layout("...", pieces, escaped)


def read(made, line, wanted=("agent", "user", "mine", "yours", "status")):
    expression, keys = pattern(made, wanted.__contains__)
    match = expression.fullmatch(line)
    return match and dict(zip(keys, match.groups(), strict=True))


def test_quotes_and_tabs_part_a_line():
    made = layout('a "', TEXT, '" ', STATUS, "\t", OTHER_TEXT)
    assert list(segments(made)) == [
        (["a "], '"'), ([TEXT], '"'), ([" ", STATUS], "\t"), ([OTHER_TEXT], ""),
    ]  # fmt: skip
    assert list(segments(layout('"', TEXT, '"', escaped=False))) == [(['"', TEXT, '"'], "")]


READ = [
    ("in quotes", layout('"', TEXT, '" ', STATUS), '"a b" 200', {"agent": "a b", "status": "200"}),
    ("an escaped quote", layout('"', TEXT, '" ', STATUS), r'"a\" 200 \"b" 404',
     {"agent": r"a\" 200 \"b", "status": "404"}),
    ("bare, up to what is fixed", layout(TEXT, " ", STATUS), "a 200 b 404",
     {"agent": "a 200 b", "status": "404"}),
    ("bare, the last", layout(STATUS, " ", TEXT), "200 a 404", {"status": "200", "agent": "a 404"}),
    ("bare, nothing", layout(STATUS, " ", TEXT), "200 ", {"status": "200", "agent": ""}),
    ("a quote in a bare one", layout(STATUS, " ", TEXT), '200 a"', None),
    ("unknown ones are words", layout("[", ODD, "] ", OTHER_ODD), "[a] b",
     {"mine": "a", "yours": "b"}),
    ("unknown ones without a word", layout("[", ODD, "] ", OTHER_ODD), "[] ",
     {"mine": "", "yours": ""}),
    ("a space more", layout(ODD, " ", STATUS, " ", OTHER_ODD), "a 200 b 404 c", None),
    ("an unknown one alone in quotes", layout('"', ODD, '" ', STATUS), '"a b" 200',
     {"mine": "a b", "status": "200"}),
    ("nothing escaped, one text", layout(STATUS, ' "', TEXT, '"', escaped=False), '200 "a"b"',
     {"status": "200", "agent": 'a"b'}),
    ("the same twice", layout(STATUS, " ", STATUS), "200 404", {"status": "200"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "made", "line", "expected"), READ, ids=[c[0] for c in READ])
def test_lines(name, made, line, expected):
    assert read(made, line) == expected


def test_what_is_not_wanted_is_skipped_over():
    assert read(layout(ODD, " ", STATUS), "a 200", wanted=("status",)) == {"status": "200"}


FORGEABLE = [
    ("two texts", layout(TEXT, " - ", OTHER_TEXT), "$agent", "$user"),
    ("two texts with a bar between", layout(TEXT, "|", STATUS, "|", OTHER_TEXT), "$agent", "$user"),
    ("a text and what nobody knows", layout(ODD, " ", TEXT), "$agent", "$mine"),
    ("nothing between", layout('"', TEXT, STATUS, '"'), "$agent", "$status"),
    ("quotes that nobody escapes", layout('"', TEXT, '" "', OTHER_TEXT, '"', escaped=False),
     "$agent", "$user"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "made", "one", "other"), FORGEABLE, ids=[c[0] for c in FORGEABLE])
def test_what_a_client_could_forge_is_refused(name, made, one, other):
    with pytest.raises(ValueError, match="a client may write") as caught:
        check(made)
    message = str(caught.value)
    assert one in message
    assert other in message
    assert ("escape=none" in message) is not made.escaped


def test_quotes_part_texts():
    check(layout('"', TEXT, '" "', OTHER_TEXT, '"'))
    check(layout(TEXT, "\t", OTHER_TEXT))


def test_a_request_on_several_lines_is_refused():
    with pytest.raises(ValueError, match="several lines"):
        check(layout(STATUS, "\n", TEXT))


HOSTILE = [
    layout(TEXT, " ", STATUS, ' "', OTHER_TEXT, '"'),
    layout(TEXT, " [", STATUS, "] ", STATUS),
    layout(ODD, " ", OTHER_ODD, " ", STATUS),
    layout(TEXT, " ", STATUS, escaped=False),
]


@pytest.mark.parametrize("made", HOSTILE)
@pytest.mark.parametrize("part", [" ", "a ", "[", " [", " 200", "\\", '\\"', "a", " 200 ["])
def test_a_huge_line_is_read_as_a_short_one_is(made, part):
    # Whatever takes work like the square of the line does not get to an end here.
    short, huge = part * 5, part * (1_000_000 // len(part))
    assert (read(made, short) is None) == (read(made, huge) is None)
