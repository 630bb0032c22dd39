"""Who attacks, how and when. In: the World, a seed, the kinds asked for. Out: Attackers in time.

Every attacker has an account of its own, and a script from attacks.py fitted into the time.
"""

from collections.abc import Sequence
from random import Random

from console.simulate.attacks import SCRIPTS, Attacker, Stage
from console.simulate.lines import Format
from console.simulate.world import User, World

KINDS: tuple[str, ...] = tuple(SCRIPTS)
"""Every kind of attack, in the order in which attackers get them."""

_ROTATION = KINDS[:10]
"""What attackers do unless told: each of these takes somebody's data."""

_NAMELESS = ("sequence_walk", "denied_prober", "path_walk", "batch_ids")
"""The same for a log without principals, where only what one address does can be seen."""

_NEEDS_PRINCIPALS = {"office_insider", "token_replay", "unauthenticated", "header_forger"}
"""In a log without principals these look like ordinary traffic to anybody."""


def kinds_for(format_: Format, world: World, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds that attackers of this log get in turn.

    Raises:
        ValueError: a kind that does not exist, or that this log could not show.
    """
    hidden = set(_NEEDS_PRINCIPALS) if world.principals == "none" else set()
    if format_ == "nginx":
        hidden.add("header_forger")  # combined has no place for the header
    if not world.office:
        hidden.add("office_insider")
    if asked is None and world.principals == "none":
        return _NAMELESS
    if asked is None:
        return tuple(kind for kind in _ROTATION if kind not in hidden)
    for kind in asked:
        if kind not in SCRIPTS:
            raise ValueError(f"attack {kind!r}: write one of {', '.join(KINDS)}")
        if kind in hidden:
            raise ValueError(
                f"attack {kind!r}: a {format_} log with principals {world.principals!r} and "
                f"{world.office} office users cannot show it; choose another kind, format or world"
            )
    if not asked:
        raise ValueError("attacks: an empty list; leave it out, or set attackers to 0")
    return tuple(asked)


def plan_attacks(
    world: World,
    rng: Random,
    *,
    kinds: Sequence[str],
    attackers: int,
    start_ms: int,
    end_ms: int,
    earliest: float,
) -> list[Attacker]:
    """Attackers with all their requests between start and end.

    `earliest` is the share of the time that passes before the first attack may begin. An attack
    that would take longer than the time there is happens faster, in the same order.

    Raises:
        ValueError: more attackers than accounts that they could use.
    """
    used: set[str] = set()
    planned = []
    for number in range(attackers):
        kind = kinds[number % len(kinds)]
        me = _account(world, rng, kind, used)
        used.add(me.id)
        stage = Stage(world, rng, number, me)
        SCRIPTS[kind](stage)
        room_s = (end_ms - start_ms) / 1000 * (0.98 - earliest)
        length_s = sum(step.gap_s for step in stage.steps)
        if length_s > room_s:
            for step in stage.steps:
                step.gap_s *= room_s / length_s
            length_s = room_s
        begin_s = (end_ms - start_ms) / 1000 * earliest + rng.random() * (room_s - length_s)
        anonymous = not stage.client.principal
        planned.append(
            Attacker(
                id=f"a{number + 1:02d}-{kind}",
                kind=kind,
                principal=None if anonymous else me.principal,
                account=None if anonymous else me.id,
                start_ms=start_ms + int(begin_s * 1000),
                steps=stage.steps,
            )
        )
    return planned


def _account(world: World, rng: Random, kind: str, used: set[str]) -> User:
    """An account of the right side of the office door that no other attacker has."""
    low, high = world.office, len(world.users)
    if kind == "office_insider":
        low, high = 0, world.office
    elif low >= high:
        low = 0
    free = [user for user in world.users[low:high] if user.id not in used]
    if not free:
        raise ValueError(
            f"simulating {len(used) + 1} attackers among {len(world.users)} users: "
            "each needs an account of its own; raise users or lower attackers"
        )
    return free[int(rng.random() * len(free))]
