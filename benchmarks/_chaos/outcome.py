"""What must not differ: findings, affected users and actions, from the store of either shell.

Both are read by the same code, which is that of `breachline affected` too. Ids and times of a
decision are not compared: they are of the run.
"""

from collections import Counter
from typing import NamedTuple

from evidence.store import EmbeddedStore
from incidents.fold import Desk
from incidents.population import Population
from streams.settings import Settings

Row = tuple[object, ...]


class Outcome(NamedTuple):
    """Each row with how often it is there."""

    lines: int
    findings: Counter[Row]
    """(rule, actor's kind, actor, severity, users)."""
    affected: Counter[Row]
    """(actors of the incident, its affected users, what was done to each, unknown objects)."""
    actions: Counter[Row]
    """(kind, target)."""

    def differences(self, other: "Outcome") -> dict[str, str]:
        """By field: what only this has, and what only the other has; empty if they are equal."""
        told = {}
        if self.lines != other.lines:
            told["lines"] = f"{self.lines:,} and {other.lines:,}"
        for field in ("findings", "affected", "actions"):
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                told[field] = (
                    f"only here {_shown(mine - theirs)}; only there {_shown(theirs - mine)}"
                )
        return told


def _shown(rows: Counter[Row]) -> str:
    return f"{rows.total()}: {[str(row)[:400] for row in list(rows)[:3]]}"


def outcome(store: EmbeddedStore, settings: Settings, lines: int) -> Outcome:
    """What a store says; `lines` were read."""
    desk = Desk(store, Population(), settings.respond)
    desk.load(store.load_state("incidents"))
    findings = (
        (found.rule, found.actor.type, found.actor.value, found.severity, found.users)
        for found in store.findings()
    )
    affected = []
    of_incident = {}
    for incident in store.incidents():
        impact = desk.impact(incident.id)
        actors = tuple(sorted((actor.type, actor.value) for actor in incident.actors))
        of_incident[incident.id] = actors
        rows = tuple(
            (row.user, row.certainty, row.reads, row.writes, row.categories) for row in impact.rows
        )
        objects = tuple((one.object, one.route, one.effect) for one in impact.objects)
        affected.append((actors, impact.users, rows, objects))
    actions = (
        # An evidence capture's target is its incident, whose id stands for its actors.
        (action.kind, of_incident.get(action.target, action.target))
        for action in store.log.actions()
    )
    return Outcome(lines, Counter(findings), Counter(affected), Counter(actions))
