import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.book import SourceBook, fingerprint, first_line, source_id


def digest16(line, ordinal=0):
    first = hashlib.sha256(line).digest()[:8]
    return hashlib.sha256(first + b"\n%d" % ordinal).hexdigest()[:16] if ordinal else first.hex()


def prints(*lines):
    return b"".join(hashlib.sha256(line).digest()[:8] for line in lines)


FIRST_LINES = [
    ("a line", b"one\ntwo\n", b"one", True),
    ("CRLF", b"one\r\ntwo", b"one", True),
    ("BOM", b"\xef\xbb\xbfone\n", b"one", True),
    ("blank lines first", b"\n \r\none\n", b"one", True),
    ("comments first", b"#Version: 1.0\n#Date: today\none\n", b"one", True),
    ("BOM, then a comment", b"\xef\xbb\xbf#Fields: x\none\n", b"one", True),
    ("not ended", b"one", b"one", False),
    ("as long as counts", b"x" * 4096, b"x" * 4096, True),
    ("longer than counts", b"x" * 5000 + b"\n", b"x" * 4096, True),
    ("begun within what counts", b"\n" + b"x" * 5000, b"x" * 4095, True),
    ("comments only", b"#a\n#b\n", b"#a\n#b\n", False),
    ("nothing", b"", b"", False),
]


@pytest.mark.parametrize(
    ("head", "line", "settled"),
    [case[1:] for case in FIRST_LINES],
    ids=[case[0] for case in FIRST_LINES],
)
def test_first_line(head, line, settled):
    assert first_line(head) == (line, settled)
    assert source_id(head) == digest16(line)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_id_stays_as_the_file_grows(head, more):
    if first_line(head)[1]:
        assert source_id(head + more) == source_id(head)


FINGERPRINTS = [
    ("nothing", b"", b""),
    ("one line", b"a\n", prints(b"a", b"a")),
    ("a line that is not whole", b"a\nb\nc", prints(b"a", b"a", b"b")),
    ("blank lines and comments", b"#x\n\na\n", prints(b"a", b"#x", b"", b"a")),
    ("a line that may grow", b"a", prints(b"a")),
    ("cut where a head ends", b"a\n" + b"x" * 5000, prints(b"a", b"a", b"x" * 4094)),
]


@pytest.mark.parametrize(
    ("head", "expected"), [case[1:] for case in FINGERPRINTS], ids=[c[0] for c in FINGERPRINTS]
)
def test_fingerprint(head, expected):
    assert fingerprint(head) == expected


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_fingerprint_of_a_head_that_goes_on_begins_with_that_of_the_head(head, more):
    if first_line(head)[1]:
        assert fingerprint(head + more).startswith(fingerprint(head))


BOOK = [
    # name, heads in order of arrival, number of the distinct source that each is
    ("one grows", [b"a\n", b"a\nb\n", b"a\nb\nc\n"], [0, 0, 0]),
    ("a copy of the start", [b"a\nb\nc\n", b"a\n"], [0, 0]),
    ("different first lines", [b"a\n", b"b\n"], [0, 1]),
    ("same first line", [b"a\nb\n", b"a\nc\n", b"a\nb\nd\n", b"a\nc\n"], [0, 1, 0, 1]),
    ("the closest wins", [b"a\nb\n", b"a\nc\n", b"a\nc\nd\n", b"a\nb\nd\n"], [0, 1, 1, 0]),
    ("what follows 4096 bytes does not count", [b"a" * 4096 + b"b", b"a" * 4096 + b"c"], [0, 0]),
]


@pytest.mark.parametrize(
    ("heads", "numbers"), [case[1:] for case in BOOK], ids=[case[0] for case in BOOK]
)
def test_identify(heads, numbers):
    book = SourceBook()
    ids = [book.identify(head) for head in heads]
    assert [list(dict.fromkeys(ids)).index(name) for name in ids] == numbers
    assert ids[0] == source_id(heads[0])


def test_a_second_source_of_the_same_first_line_is_numbered():
    book = SourceBook()
    ids = [book.identify(b"a\nb\n"), book.identify(b"a\nc\n"), book.identify(b"a\nd\n")]
    assert ids == [digest16(b"a"), digest16(b"a", 1), digest16(b"a", 2)]


def test_apart_from():
    book = SourceBook()
    first = book.identify(b"a\nb\n")
    second = book.identify(b"a\nb\n", {first})
    assert second == digest16(b"a", 1)
    assert book.find(b"a\nb\n") == second
    assert book.find(b"a\nb\n", {second}) == first
    assert book.find(b"a\nb\n", {first, second}) is None


def test_longer_are_the_sources_of_which_more_was_read_than_a_file_holds():
    book = SourceBook()
    first = book.identify(b"a\nb\n")
    second = book.identify(b"a\nb\n", {first})
    marks = {first: 10, second: 4}
    assert book.longer(b"a\nb\n", 4, marks.__getitem__) == set()
    assert book.longer(b"a\n", 3, marks.__getitem__) == {first, second}


CONFIRM = [
    ("grows", b"a\n", b"a\nb\n", True, b"a\nb\n"),
    ("a copy of the start", b"a\nb\n", b"a\n", True, b"a\nb\n"),
    ("goes on otherwise", b"a\nb\n", b"a\nc\n", False, b"a\nb\n"),
    ("first line was not ended", b"a", b"ab\n", False, b"a"),
]


@pytest.mark.parametrize(
    ("known", "head", "expected", "then"),
    [case[1:] for case in CONFIRM],
    ids=[case[0] for case in CONFIRM],
)
def test_confirm(known, head, expected, then):
    book = SourceBook()
    source = book.identify(known)
    assert book.confirm(source, head) is expected
    assert book.head(source) == fingerprint(then)


def test_confirm_of_a_forgotten_source():
    book = SourceBook(limit=1)
    source = book.identify(b"a\n")
    book.identify(b"b\n")
    assert book.head(source) == b""
    assert book.confirm(source, b"a\nb\n")
    assert book.head(source) == prints(b"a", b"a", b"b")


def test_dump_take_dirty_and_load():
    book = SourceBook()
    first, second = book.identify(b"a\nb\n"), book.identify(b"a\nc\n")
    assert book.dump() == [(first, fingerprint(b"a\nb\n")), (second, fingerprint(b"a\nc\n"))]
    assert book.take_dirty() == sorted(book.dump())
    assert book.take_dirty() == []
    book.identify(b"a\nb\nd\n")
    assert book.take_dirty() == [(first, fingerprint(b"a\nb\nd\n"))]
    again = SourceBook()
    again.load(reversed(book.dump()))
    assert again.take_dirty() == []
    assert [again.identify(head) for head in (b"a\nb\nd\ne\n", b"a\nc\n")] == [first, second]
    assert again.identify(b"a\nx\n") == book.identify(b"a\nx\n")


def test_load_of_a_head_that_is_not_the_sources():
    with pytest.raises(ValueError, match="loading source 0123456789abcdef: its head"):
        SourceBook().load([("0123456789abcdef", fingerprint(b"a\n"))])


def test_the_book_is_bounded_and_tells_what_it_forgot():
    book = SourceBook(limit=3)
    ids = [book.identify(b"%d\n" % i) for i in range(3)]
    book.take_dirty()
    book.identify(b"0\n")
    new = book.identify(b"new\n")
    assert [source for source, _ in book.dump()] == [ids[2], ids[0], new]
    assert book.take_dirty() == sorted([(ids[1], b""), (new, fingerprint(b"new\n"))])
    again = SourceBook(limit=3)
    again.load([(ids[1], b""), (new, fingerprint(b"new\n"))])
    assert again.dump() == [(new, fingerprint(b"new\n"))]
