"""What the tests of formats do with lines: read them, tear them, escape them, make them huge.

A format, a line or a record in; what its parser says of it out. MUST NOT say what a line means:
that each test does itself.
"""

from hypothesis import strategies as st

from intake.line import Unreadable
from intake.settings import IntakeSettings

FEW, MANY = 3, 300_000
JUNK = st.binary() | st.text().map(str.encode)


def answer(parse, line):
    """What a parser makes of a line, or the reason why it refuses it."""
    try:
        return parse(line)
    except Unreadable as why:
        return why.reason


def readers(format_):
    """(parse, outcome): functions of a line and of any settings; `outcome` raises nothing."""

    def parse(line, **settings):
        return format_.parser(IntakeSettings(**settings))(line)

    def outcome(line, **settings):
        return answer(format_.parser(IntakeSettings(**settings)), line)

    return parse, outcome


def torn(good):
    """Bytes of any kind: alone, within a good line, and in place of the rest of it."""
    return st.builds(
        lambda junk, at: [junk, good[:at] + junk + good[at:], good[:at] + junk],
        JUNK,
        st.integers(0, len(good)),
    )


def unlike(read, shape, expected):
    """How many parts make `read(shape(n))` another than `expected(n)`: [] if neither number does.

    Whatever takes work like the square of the line does not get to an end here.
    """
    # No diff of a megabyte: only the numbers go out.
    return [n for n in (FEW, MANY) if read(shape(n)) != expected(n)]


def changed(record, /, *gone, **changes):
    """A record with other values, and without the names that are `gone`."""
    return {name: value for name, value in {**record, **changes}.items() if name not in gone}


def hex_escaped(text):
    r"""As nginx and AWS log a client's text: all but printable ASCII becomes \xNN."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02X}"
        for byte in text.encode("utf-8", "replace")
    )
