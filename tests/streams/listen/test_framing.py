import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.listen._framing import Messages, clean

M = b"<134>1 - h app - - - x"


def counted(message):
    return b"%d %s" % (len(message), message)


CASES = [
    ("nothing", b"", [], []),
    ("newlines", b"<1>a\n<1>b\r\n\n<1>c", [b"<1>a", b"<1>b"], [b"<1>c"]),
    ("counted", counted(M) + counted(b"<1>b"), [M, b"<1>b"], []),
    ("counted, with newlines inside", counted(b"<1>a\nb"), [b"<1>a#012b"], []),
    ("both, one after the other", counted(b"<1>a") + b"<1>b\n" + counted(b"<1>c"),
     [b"<1>a", b"<1>b", b"<1>c"], []),
    ("counted and newlines, as some senders do", counted(b"<1>a\n") + counted(b"<1>b\n"),
     [b"<1>a", b"<1>b"], []),
    ("plain lines that begin with numbers", b"203.0.113.7 - - x\n17 of them\n",
     [b"203.0.113.7 - - x", b"17 of them"], []),
    ("a counted message that was not finished", b"30 <1>abc", [], []),
    ("a zero is no count", b"0 <1>a\n", [b"0 <1>a"], []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "whole", "at_end"), CASES, ids=[c[0] for c in CASES])
def test_messages(name, data, whole, at_end):
    messages = Messages(100)
    assert (messages.feed(data), messages.finish()) == (whole, at_end)


@pytest.mark.parametrize("data", [case[1] for case in CASES], ids=[c[0] for c in CASES])
def test_any_cut_gives_the_same_messages(data):
    whole = Messages(100)
    expected = whole.feed(data) + whole.finish()
    for cut in range(len(data)):
        messages = Messages(100)
        found = messages.feed(data[:cut]) + messages.feed(data[cut:])
        assert found + messages.finish() == expected, cut


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("counted", counted(b"<1>" + b"a" * 500) + b"<1>b\n"),
        ("a line", b"<1>" + b"a" * 500 + b"\n<1>b\n"),
    ],
)
def test_of_one_that_is_too_long_the_beginning_is_kept(name, data):
    for size in (1, 7, 1000):
        messages = Messages(100)
        found = []
        for at in range(0, len(data), size):
            found += messages.feed(data[at : at + size])
        assert found == [b"<1>" + b"a" * 97, b"<1>b"], (name, size)
        assert messages.too_long == 1


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_messages_without_newlines(parts):
    messages = Messages(64)
    found = [message for part in parts for message in messages.feed(part)] + messages.finish()
    assert all(b"\n" not in message and message for message in found)
    assert sum(map(len, found)) <= 4 * sum(map(len, parts))


def test_what_is_kept_is_bounded():
    messages = Messages(100)
    for _ in range(1_000):
        messages.feed(b"9" * 50)
        messages.feed(b"999999999 <" + b"x" * 30)
    assert len(messages._rest) <= 200


def test_what_ends_a_message_goes():
    assert clean(b"<1>a\0\r\n") == b"<1>a"
    assert clean(b" \n") == b""
