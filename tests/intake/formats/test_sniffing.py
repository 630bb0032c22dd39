from intake.formats._base import discover
from intake.formats._sniffing import default_parser, marked_share
from intake.line import Unreadable


def test_a_format_sniffs_with_one_parser():
    formats = discover()
    parse = default_parser(formats["json"].parser)
    assert parse is default_parser(discover()["json"].parser)
    assert parse is not default_parser(formats["ecs"].parser)
    assert [parse(line).status for line in formats["json"].examples] == [200]


def test_what_is_sniffed_does_not_depend_on_what_was_sniffed_before():
    for found in discover().values():
        others = [line for other in discover().values() for line in other.examples]
        before = [found.sniff([line]) for line in found.examples]
        for line in others:
            found.sniff([line])
        assert [found.sniff([line]) for line in found.examples] == before
        assert all(before)


def test_the_share_of_marked_lines_that_are_understood():
    def parser(_settings):
        def parse(line):
            if line == b"m tcp":
                raise Unreadable("not_http")

        return parse

    lines = [b"m", b"m tcp", b"x", b"x"]
    assert marked_share(lines, lambda line: line[:1] == b"m", parser) == 0.25
    assert marked_share(lines, lambda line: line[:1] == b"m", parser, {"not_http"}) == 0.5
    assert marked_share(lines, lambda _line: False, parser) == 0
