import msgspec
import pytest

from intake.issuers import Issuers

HOME, OTHER = "https://id.example", "https://partner.example"


def told(*tokens):
    issuers = Issuers()
    for issuer, subject, vouched in tokens:
        issuers.note(issuer, subject, vouched=vouched)
    return issuers


def many(issuer, count, *, vouched=False, first=0):
    return [(issuer, str(number), vouched) for number in range(first, first + count)]


def both(count):
    return [(issuer, str(n), False) for n in range(count) for issuer in (HOME, OTHER)]


CASES = [
    ("one issuer", many(HOME, 3), HOME, False),
    ("many of one", many(HOME, 50), HOME, True),
    ("most", many(HOME, 3) + many(OTHER, 2), HOME, False),
    ("alike", many(HOME, 3) + many(OTHER, 3), "", False),
    ("one client that repeats itself", many(HOME, 2) + many(OTHER, 1) * 99, HOME, False),
    ("clearly most", many(OTHER, 10) + many(HOME, 40), HOME, True),
    ("near miss: 79 of 100", many(OTHER, 21) + many(HOME, 79), HOME, False),
    ("no end of doubt", both(99) + many(HOME, 2, first=99), HOME, True),
    ("no end of doubt, alike", both(100), "", True),
    ("once it is settled it stays", many(HOME, 50) + many(OTHER, 500), HOME, True),
    ("forgers, and one that was vouched for", many(OTHER, 40) + many(HOME, 1, vouched=True), HOME,
     False),
    ("forgers after one that was vouched for", many(HOME, 1, vouched=True) + many(OTHER, 99), HOME,
     False),
    ("no name is as long", many("x" * 999, 3), "", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "tokens", "home", "settled"), CASES, ids=[case[0] for case in CASES]
)
def test_home(name, tokens, home, settled):
    issuers = told(*tokens)
    assert (issuers.home, issuers.settled) == (home, settled), name


def test_a_restart_changes_nothing():
    tokens = many(OTHER, 9) + many(HOME, 60)
    for cut in (0, 5, 30, 69):
        issuers = told(*tokens[:cut])
        issuers = msgspec.msgpack.decode(msgspec.msgpack.encode(issuers), type=Issuers)
        for issuer, subject, vouched in tokens[cut:]:
            issuers.note(issuer, subject, vouched=vouched)
        assert issuers == told(*tokens)


def test_bounded():
    issuers = told(*[(f"https://{n}.example", str(n), False) for n in range(999)])
    assert sum(map(len, issuers.subjects.values())) <= 200
