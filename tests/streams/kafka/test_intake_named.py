"""Lines that listeners took, in one partition of access.raw: each once, by its name."""

import msgspec
import pytest

from records.ids import event_id
from streams.kafka.intake import Record
from streams.listen.inbox import identity, place_of
from tests.streams.kafka.test_intake import DIGEST, FAULT, LINES, intake, said, take


def pushed(offset, *lines, names=(), faults=(), source=b"a1b2c3d4e5f60718"):
    """A message of lines that listeners took; a name is any text, "" for none."""
    marks = b"".join(identity(name) if name else bytes(16) for name in names or [""] * len(lines))
    headers = [("source", source), ("name", b"pushed"), ("names", marks)]
    if faults:
        headers.append(("faults", msgspec.msgpack.encode(faults)))
    return Record(offset, b"\n".join(line.rstrip(b"\n") for line in lines), headers)


def test_a_line_with_a_name_is_one_event_wherever_it_comes_again():
    one = intake()
    take(one, [pushed(0, *LINES[:3], names="abc"), pushed(1, *LINES[2:5], names="cde")])
    take(one, [pushed(2, *LINES[:2], names="ab"), pushed(3, *LINES[5:7], names=("", ""))])
    tally, *_ = said(one.collect(idle=False))
    assert (tally.lines, tally.events, tally.duplicate) == (10, 7, 3)


def test_lines_without_names_stand_at_their_message():
    one = intake()
    take(one, [pushed(0, LINES[-1], LINES[-1]), pushed(7, LINES[-1])])
    _, _, exposures = said(one.collect(idle=False))
    source = "a1b2c3d4e5f60718"
    assert [x.event for x in exposures] == [
        event_id(source, 0), event_id(source, 1), event_id(source, 7 << 20),
    ]  # fmt: skip


def test_a_named_line_is_the_same_event_in_any_partition_and_in_run():
    first, second = intake(number=1), intake(number=2)
    take(first, [pushed(5, LINES[-1], names="a")])
    take(second, [pushed(9, *LINES[:3], names="xyz"), pushed(10, LINES[-1], names="a")])
    (one,), (other,) = (said(i.collect(idle=False))[2] for i in (first, second))
    assert one.event == other.event == event_id(one.event[:16], place_of(identity("a"), DIGEST))


def test_one_made_from_the_state_knows_the_names_too():
    one, again = intake(), intake()
    take(one, [pushed(0, *LINES[:3], names="abc")])
    known: dict[str, dict[str, bytes]] = {}
    for space, key, value in one.take_dirty():
        known.setdefault(space, {})[key] = value
    again.load(known)
    for each in (one, again):
        each.collect(idle=False)
        take(each, [pushed(1, *LINES[1:4], names="bcd")])
        tally, *_ = said(each.collect(idle=False))
        assert (tally.lines, tally.events, tally.duplicate) == (3, 1, 2)


def test_a_line_that_was_too_long_is_rejected_once():
    one = intake()
    take(one, [pushed(0, names="a", faults=[FAULT]), pushed(1, names="a", faults=[FAULT])])
    tally, *_ = said(one.collect(idle=False))
    assert (tally.lines, tally.rejected, tally.duplicate) == (2, {"too_long": 1}, 1)


@pytest.mark.parametrize(
    ("names", "faults"), [("ab", ()), ("", ()), ("ab", [FAULT]), ("abc", [FAULT, FAULT])]
)
def test_lines_without_a_name_for_each_are_rejected_and_passed(names, faults):
    one = intake()
    marks = b"".join(map(identity, names))
    headers = [("source", b"a1b2c3d4e5f60718"), ("names", marks)]
    headers += [("faults", msgspec.msgpack.encode(faults))] if faults else []
    take(one, [Record(0, b"one\ntwo\nthree", headers), pushed(1, LINES[0])])
    tally, *_ = said(one.collect(idle=False))
    assert (tally.events, tally.rejected, one.position) == (1, {"bad_frame": 1}, 2)
