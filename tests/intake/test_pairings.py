import pytest

from intake.pairings import Pairings


def told(*pairs):
    pairings = Pairings()
    for principal, target in pairs:
        pairings.note(principal, target)
    return pairings


CASES = [
    ("always together", [("a", "1")] * 3 + [("b", "2")] * 5, [("a", "1"), ("b", "2")]),
    ("near miss: twice", [("a", "1")] * 2, []),
    ("nearly always", [("a", "1")] * 9 + [("a", "2")], [("a", "1")]),
    ("near miss: 8 of 10", [("a", "1")] * 8 + [("a", "2")] * 2, []),
    ("two who ask for one", [("a", "1")] * 3 + [("b", "1")] * 9, []),
    ("one who walks", [("a", str(number)) for number in range(99)] + [("a", "1")] * 999, []),
    ("nobody", [], []),
]


@pytest.mark.parametrize(("name", "pairs", "proposed"), CASES, ids=[case[0] for case in CASES])
def test_proposed(name, pairs, proposed):
    assert told(*pairs).proposed() == proposed, name


def test_bounded(monkeypatch):
    monkeypatch.setattr("intake.pairings._MOST_PRINCIPALS", 10)
    pairings = told(*[(f"a{n % 50}", str(n)) for n in range(999)])
    assert len(pairings._asked) + len(pairings._crowded) <= 10
