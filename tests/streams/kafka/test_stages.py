"""The three stages as tasks: what a journal gives back, and what is told of a base."""

import msgspec
import pytest

from streams.kafka.stages import _Keyed


class Values(_Keyed):
    """A task of nothing but values; none of what needs brokers is asked."""

    def __init__(self):
        self.known([])

    restore = work = gather = None  # type: ignore[assignment]
    position = 0


ITEMS = [("s", "a", b"1"), ("s", "b", b"2"), ("t", "a", b"3")]


def held(task):
    return {(s, k): v for s, kept in task._known.items() for k, v in kept.items()}


def test_the_last_of_each_is_known_and_an_empty_one_is_gone():
    task = Values()
    first = task.changed(ITEMS)
    second = task.changed([("s", "a", b"9"), ("s", "b", b"")])
    expected = {("s", "a"): b"9", ("t", "a"): b"3"}
    assert held(task) == expected
    other = Values()
    other.known([*first, *second])
    assert held(other) == expected


@pytest.mark.parametrize("count", [0, 3, 50_000])
def test_a_base_is_all_that_is_known_in_pieces(count):
    task = Values()
    task.changed(("s", f"{n}", b"x" * 20) for n in range(count))
    other = Values()
    other.known(task.base())
    assert held(other) == held(task)
    assert len(held(other)) == count
    pieces = [msgspec.msgpack.decode(piece) for piece in task.base()]
    assert sum(map(len, pieces)) == count
