"""Hypothesis strategies: traffic in which every rule can fire, and its orders within lateness.

Bursts of acts begin at set times, so that no quiet gap is within a minute of an hour and nothing
straddles midnight: there, and only there, an id may depend on the order of arrival.
"""

import random

import msgspec
from hypothesis import strategies as st

from records.event import Signal
from records.ids import event_id
from tests.detectors._events import At, at

BURSTS_S = (0, 1500, 9000, 40_000, 100_000)
LATENESS_MS = 60_000

CALLERS = (
    lambda moment: moment.user("a"),
    lambda moment: moment.user("b", "verified").session("sb").agent("f1"),
    lambda moment: moment.user("c", "asserted").session("sc"),
    lambda moment: moment.anonymous("verified"),
    lambda moment: moment.session("sd").agent("f2"),
    lambda moment: moment.agent("f1"),
)


def numbers(first: int, n: int) -> str:
    return f"{100 + first + n}"


ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::{}")
"""The last is one client that asks from an address of its /64 after the other."""

ACTS = {
    "read": lambda who, user: who.read(user),
    "read money": lambda who, user: who.read(user, category="financial"),
    "read many": lambda who, user: who.read(user, f"{user}0", f"{user}1"),
    "out of bounds": lambda who, user: who.read(user, out_of_bounds="svc"),
    "write": lambda who, user: who.write(user),
    "change password": lambda who, user: who.write(user, category="credential"),
    "denied": lambda who, user: who.denied(user),
    "try doors": lambda who, user: who.denied(user),
    "missed": lambda who, user: who.looks(object=user, outcome="denied", status=404),
    "looks": lambda who, user: who.looks(user),
    "claims": lambda who, user: who.claims(user),
    "mismatch": lambda who, user: who.mismatch(user),
    "mismatch denied": lambda who, user: who.mismatch(user, outcome="denied"),
    "canary": lambda who, user: who.canary(user),
}


def act(burst_s, offset_s, every_s, caller, address, kind, first, count, stride, sent, route):
    """One caller who does one thing to some users, one after the other."""
    signals = []
    for n in range(count):
        moment: At = (
            at(burst_s + offset_s + n * every_s).ip(address.format(f"{n % 40 + 1:x}")).route(route)
        )
        who = CALLERS[caller](moment)
        opened = kind == "try doors" and n % 10 == 9
        do = ACTS["read" if opened else kind]
        signals.append(do(who.elsewhere() if sent else who, numbers(first, n * stride)))
    return signals


def distinct_events(acts: list[list[Signal]]) -> list[Signal]:
    """All signals by time, each with an event of its own."""
    signals = sorted((s for one in acts for s in one), key=lambda s: s.time_ms)
    return [
        msgspec.structs.replace(signal, event=event_id("gw", n)) for n, signal in enumerate(signals)
    ]


traffic = st.lists(
    st.builds(
        act,
        burst_s=st.sampled_from(BURSTS_S),
        offset_s=st.integers(0, 300),
        every_s=st.sampled_from((0, 0.2, 1, 7, 25)),
        caller=st.integers(0, len(CALLERS) - 1),
        address=st.sampled_from(ADDRESSES),
        kind=st.sampled_from(sorted(ACTS)),
        first=st.integers(0, 12),
        count=st.sampled_from((1, 1, 2, 3, 9, 14, 32)),
        stride=st.sampled_from((1, 1, 0, -3)),
        sent=st.sampled_from((False, False, False, True)),
        route=st.sampled_from(("/users/{owner}", "/users/{owner}", "/cards/{owner}")),
    ),
    min_size=1,
    max_size=7,
).map(distinct_events)


@st.composite
def reordered(draw, signals: list[Signal]) -> list[Signal]:
    """The signals as they may arrive: none over a minute behind the newest before it."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    most_ms = draw(st.sampled_from((1000, 10_000, LATENESS_MS)))
    arrival = sorted((s.time_ms + chance.randint(0, most_ms), n) for n, s in enumerate(signals))
    return [signals[n] for _, n in arrival]


@st.composite
def batches(draw, signals: list[Signal]) -> list[list[Signal]]:
    """Any split that keeps the order."""
    cuts = draw(st.lists(st.integers(0, len(signals)), max_size=6).map(sorted))
    return [signals[a:b] for a, b in zip([0, *cuts], [*cuts, len(signals)], strict=True)]
