from intake.spent import Spent, short_digest

A, B, C = (short_digest(name) for name in "abc")


def test_what_was_seen_is_known_until_it_is_forgotten():
    spent = Spent("s", 10)
    spent.note(A, 1)
    spent.note(B, 2)
    spent.note(A, 3)
    spent.forget(3)
    assert (A in spent, B in spent, C in spent, len(spent)) == (True, False, False, 1)


def test_the_longest_unseen_goes_first():
    spent = Spent("s", 2)
    for key, second in ((A, 1), (B, 1), (A, 2), (C, 2)):
        spent.note(key, second)
    assert (A in spent, B in spent, C in spent) == (True, False, True)


def test_a_restart_changes_nothing():
    spent, store = Spent("s", 10, tracking=True), {}

    def keep():
        for space, key, value in spent.take_dirty():
            assert space == "s"
            if value:
                store[key] = value
            else:
                store.pop(key, None)
        fresh = Spent("s", 10, tracking=True)
        fresh.load(lambda space: iter(store.items() if space == "s" else ()))
        assert fresh._seen == spent._seen
        return fresh

    spent.note(A, 9)
    spent.note(B, 10)
    spent = keep()
    assert store.keys() == {"9", "10"}
    spent.note(A, 11)
    spent.note(C, 11)
    spent = keep()
    assert store.keys() == {"10", "11"}
    spent.forget(11)
    assert keep()._seen == {A: 11, C: 11}
    assert list(spent.take_dirty()) == []


def test_without_tracking_nothing_is_kept_for_later():
    spent = Spent("s", 10)
    spent.note(A, 1)
    assert list(spent.take_dirty()) == []


def test_any_text_has_a_digest():
    assert len(short_digest("\ud800")) == len(A) == 8
