from streams.kafka.repeats import SPACE, Repeats, State
from streams.listen.inbox import identity

A, B, C = (identity(name) for name in "abc")


def journal(*states):
    """What is known after these, as a task keeps it."""
    known: dict[str, bytes] = {}
    for space, key, value in states:
        assert space == SPACE
        known[key] = value
        if not value:
            del known[key]
    return known


def test_a_name_is_new_once():
    repeats = Repeats()
    assert repeats.are_new([B, A, B]) == [True, True, False]
    assert repeats.are_new([C, A]) == [True, False]


def test_one_made_from_the_journal_knows_the_same():
    repeats = Repeats(limit=2048)
    states: list[State] = []
    names = [identity(number) for number in range(5000)]
    for start in range(0, 5000, 70):
        assert repeats.are_new(names[start : start + 70]) == [True] * len(names[start : start + 70])
        states += repeats.take_dirty()
        assert list(repeats.take_dirty()) == []
    again = Repeats(limit=2048)
    again.load(journal(*states))
    assert again.are_new(names[-1500:]) == repeats.are_new(names[-1500:]) == [False] * 1500
    more = [A, names[0], names[-1], B]
    assert again.are_new(more) == repeats.are_new(more) == [True, True, False, True]
    assert list(again.take_dirty()) == list(repeats.take_dirty())


def test_what_is_kept_is_bounded_and_the_oldest_go_first():
    repeats = Repeats(limit=1024)
    states: list[State] = []
    for number in range(10_000):
        repeats.are_new([identity(number)])
        if not number % 100:
            states += repeats.take_dirty()
    states += repeats.take_dirty()
    kept = journal(*states)
    assert sum(map(len, kept.values())) <= 1024 * 16
    assert repeats.are_new([identity(9_999), identity(0)]) == [False, True]
