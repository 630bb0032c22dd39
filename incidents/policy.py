"""The one place that decides what is done about an incident: actions as data, none performed.

Incident and findings in, Actions out. It remembers what it decided for each address, so that one
target and episode never has two blocks, also after a restart, and a repeated one lasts longer.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from incidents.guards import BY_PERSON, EVIDENCE, Guards, Situation
from incidents.population import Population
from incidents.settings import NeverBlock, PolicySettings
from intake.addresses import net_of
from records.finding import Finding
from records.ids import action_id
from records.incident import Action, Guard, Incident
from records.kinds import SEVERITIES, Mode, Severity

MODES: tuple[Mode, ...] = ("simulate", "approval", "enforce")
"""Weakest first."""
POINT = "gateway"
"""The enforcement point of block_ip."""
BLOCKING: frozenset[Severity] = frozenset({"high", "critical"})
MINUTE_MS = 60_000
REMEMBER_MS = 30 * 86_400_000
"""How long after its end a block still makes the next one of its address longer."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What was last decided for one address; kept as state."""

    incident: str
    decided_ms: int
    until_ms: int
    verdict: str
    mode: Mode
    severity: Severity
    decisions: int
    """How many actions were ever decided for the address: the next one's ordinal."""
    passed: int
    """How many of them passed their guards: the next one's doubling."""


class Policy:
    """Decides, with the guards of JUDGEMENT. `protected`: trusted proxies and our own addresses."""

    def __init__(
        self, settings: PolicySettings, population: Population, protected: Iterable[str] = ()
    ) -> None:
        self.settings = settings
        self._guards = Guards(settings, population, protected)
        self._blocks: dict[str, Block] = {}
        self._spent: list[tuple[int, Severity]] = []
        self._dirty: set[str] = set()

    def decide(
        self,
        incident: Incident,
        findings: Sequence[Finding],
        now_ms: int,
        *,
        history_from_ms: int,
        capture: bool = False,
    ) -> list[Action]:
        """Actions for findings that were not considered before.

        `capture` adds the one capture_evidence of an incident. Blocks need a high or critical
        finding; an incident whose cause is a fault has none.
        """
        actions = [self._capture(incident, findings, now_ms)] if capture else []
        if incident.cause == "fault":
            return actions
        for finding in findings:
            if finding.severity not in BLOCKING:
                continue
            for target in targets_of(finding):
                action = self._block(incident, finding, target, now_ms, history_from_ms)
                if action is not None:
                    actions.append(action)
        return actions

    def _capture(self, incident: Incident, findings: Sequence[Finding], now_ms: int) -> Action:
        return Action(
            id=action_id("capture_evidence", incident.id, incident.id, 0),
            kind="capture_evidence",
            target=incident.id,
            until_ms=0,
            mode="enforce",
            reason=f"keep the log lines behind {', '.join(incident.rules)}",
            incident=incident.id,
            findings=tuple(sorted(finding.id for finding in findings)),
            guard=EVIDENCE,
            decided_ms=now_ms,
        )

    def _block(
        self, incident: Incident, finding: Finding, target: str, now_ms: int, history_from_ms: int
    ) -> Action | None:
        last, mode = self._blocks.get(target), self.mode_of(finding)
        if _covers(self._blocks.get(net_of(target)), finding, mode, now_ms):
            return None
        live = last is not None and now_ms < last.until_ms
        if live and last is not None and last.verdict != "refuse" and not _stronger(mode, last):
            return None
        guard = self._judge(
            Situation(
                target=target,
                findings=(finding,),
                principals=frozenset(a.value for a in incident.actors if a.type == "principal"),
                first_foreign_ms=attack_start_ms(incident.first_seen_ms, finding.start_ms, now_ms),
                last_foreign_ms=max(finding.end_ms, min(incident.last_seen_ms, now_ms)),
                now_ms=now_ms,
                history_from_ms=history_from_ms,
            ),
            finding.severity,
        )
        if live and last is not None and guard.verdict == "refuse":
            return None
        decisions, passed = (last.decisions, last.passed) if last is not None else (0, 0)
        until_ms = now_ms + self._duration_ms(target, passed)
        self._remember(
            target,
            Block(
                incident=incident.id,
                decided_ms=now_ms,
                until_ms=until_ms,
                verdict=guard.verdict,
                mode=mode,
                severity=finding.severity,
                decisions=decisions + 1,
                passed=passed + (guard.verdict == "pass"),
            ),
        )
        return Action(
            id=action_id("block_ip", target, incident.id, decisions),
            kind="block_ip",
            target=target,
            until_ms=until_ms,
            mode=mode,
            reason=f"{finding.rule} ({finding.severity}): {finding.message}",
            incident=incident.id,
            findings=(finding.id,),
            guard=guard,
            decided_ms=now_ms,
        )

    def mode_of(self, finding: Finding) -> Mode:
        """The weakest mode that the policy, the rule and the enforcement point are given."""
        settings = self.settings
        modes = (
            settings.mode,
            settings.points.get(POINT),
            settings.rules.get(finding.rule),
            finding.mode,
        )
        return min((mode for mode in modes if mode is not None), key=MODES.index)

    def _judge(self, situation: Situation, severity: Severity) -> Guard:
        guard = self._guards.judge(situation)
        if guard.verdict != "pass":
            return guard
        now_ms = situation.now_ms
        spent = sum(s == severity and abs(now_ms - at_ms) < MINUTE_MS for at_ms, s in self._spent)
        if spent >= (budget := self.settings.budget[severity]):
            return Guard("approve", f"{spent} {severity} blocks in this minute (budget {budget})")
        return guard

    def _duration_ms(self, target: str, passed: int) -> int:
        settings = self.settings
        first_s = settings.carrier_block if self._guards.is_carrier(target) else settings.block
        return int(min(first_s * 2 ** min(passed, 32), settings.max_block) * 1000)

    def _remember(self, target: str, block: Block) -> None:
        self._blocks[target] = block
        self._dirty.add(target)
        if block.verdict == "pass":
            insort(self._spent, (block.decided_ms, block.severity))

    def recheck(
        self,
        action: Action,
        now_ms: int,
        before_ms: int,
        principals: frozenset[str],
        *,
        by_person: bool = False,
    ) -> Guard:
        """The guards that can change between deciding and performing: asked again right before.

        `before_ms` is the attack's first foreign event, `principals` the incident's own. What a
        person decided passes all but the never-block list, and our own proxies and addresses.
        """
        if action.kind == "capture_evidence":
            return EVIDENCE
        if action.guard.verdict == "refuse":
            return action.guard
        if action.until_ms and now_ms >= action.until_ms:
            return Guard("refuse", f"the block of {action.target} would already be over")
        if action.kind != "block_ip":
            return action.guard
        place = self._guards.place(action.target, now_ms)
        if by_person:
            return place or BY_PERSON
        for guard in (
            place,
            self._guards.crowd(action.target, before_ms, now_ms, principals),
        ):
            if guard is not None and (guard.verdict == "refuse" or action.guard.verdict == "pass"):
                return guard
        return action.guard

    def withdraw(self, incidents: AbstractSet[str]) -> dict[str, int]:
        """Forget that blocks of these incidents stand; their targets, and when each was decided.

        A block that was a mistake neither holds up the next one nor makes it longer. How many were
        decided is not forgotten: two actions never have one id.
        """
        gone = {target: b for target, b in self._blocks.items() if b.incident in incidents}
        for target, block in gone.items():
            self._blocks[target] = msgspec.structs.replace(
                block,
                until_ms=min(block.until_ms, block.decided_ms),
                verdict="withdrawn",
                passed=block.passed - (block.verdict == "pass"),
            )
            self._dirty.add(target)
        return {target: block.decided_ms for target, block in gone.items()}

    def relist(self, entries: Iterable[NeverBlock]) -> None:
        """Take the never-block list as it is now, for decisions and rechecks to come."""
        self._guards.relist(entries)

    def forget(self, now_ms: int) -> None:
        """Drop addresses whose last block ended long ago, and budget of past minutes."""
        self._spent = [spent for spent in self._spent if now_ms - spent[0] < 2 * MINUTE_MS]
        for target, block in list(self._blocks.items()):
            if now_ms - block.until_ms > REMEMBER_MS:
                del self._blocks[target]
                self._dirty.add(target)

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Addresses whose memory changed since the last call; b"" for a forgotten one."""
        dirty = [
            (
                target,
                msgspec.msgpack.encode(self._blocks[target]) if target in self._blocks else b"",
            )
            for target in sorted(self._dirty)
        ]
        self._dirty.clear()
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back what `take_dirty` gave."""
        for target, data in items:
            if not data:
                self._blocks.pop(target, None)
                continue
            block = msgspec.msgpack.decode(data, type=Block)
            self._blocks[target] = block
            if block.verdict == "pass":
                insort(self._spent, (block.decided_ms, block.severity))


def targets_of(finding: Finding) -> list[str]:
    """What is blocked for a finding: its addresses, or the IPv6 /64 that used many of them."""
    if finding.actor.type == "subnet":
        return [finding.actor.value]
    return sorted(set(finding.ips))


def _covers(around: Block | None, finding: Finding, mode: Mode, now_ms: int) -> bool:
    """Whether the block of a /64 stands for that of one address in it: no less was its reason."""
    if around is None or around.verdict == "refuse" or now_ms >= around.until_ms:
        return False
    no_less = SEVERITIES.index(around.severity) >= SEVERITIES.index(finding.severity)
    return no_less and not _stronger(mode, around)


def _stronger(mode: Mode, last: Block) -> bool:
    """Whether a rule that may act must not be held up by one that was only simulated."""
    return last.mode == "simulate" and mode != "simulate"


def attack_start_ms(first_seen_ms: int, episode_ms: int, now_ms: int) -> int:
    """The moment before which a neighbour must have been seen to count as innocent.

    That is when this episode of the attack began. The population remembers hours, not days: held
    against an attack of three days ago, everyone in an office would look like a newcomer.
    """
    return max(first_seen_ms, episode_ms, now_ms - 60 * MINUTE_MS)


def lift(target: str, denied_before: int, denied_after: int) -> str:
    """Why a block should be lifted, "" if it should stay.

    The counts are innocent principals denied behind the target in equal spans before and after the
    block; more of them after it means that the block hurts those whom it should protect.
    """
    if denied_after <= denied_before:
        return ""
    return (
        f"lift the block of {target}: {denied_after} innocent principals were denied after it, "
        f"{denied_before} before"
    )
