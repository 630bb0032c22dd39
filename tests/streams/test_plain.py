import pytest

from streams.plain import plain

CASES = [
    ("as it is", "u-1 é 日本 [red] :100:", "u-1 é 日本 [red] :100:"),
    ("empty", "", ""),
    ("escape sequence", "\x1b[31mred", "\\x1b[31mred"),
    ("C1 control", "a\x9b2J", "a\\x9b2J"),
    ("line break and return", "a\nb\rc", "a\\nb\\rc"),
    ("bidirectional override", "a\u202eb", "a\\u202eb"),
    ("lone surrogate", "a\udc80", "a\\udc80"),
]


@pytest.mark.parametrize(("name", "text", "expected"), CASES, ids=[c[0] for c in CASES])
def test_every_character_shows_as_itself(name, text, expected):
    assert plain(text) == expected
    assert plain(text).isprintable()


def test_what_is_to_be_kept_is_kept():
    assert plain("a\n\x1bb\t", keep="\n") == "a\n\\x1bb\\t"
