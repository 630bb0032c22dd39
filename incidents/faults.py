"""Service faults: one rule on very many actors at once, each with hardly any target.

A broken deployment or a cache that mixes users looks like hundreds of attackers. Nobody is blocked
for it, the victims are still counted. Entries in, spans out; what to do with them is fold.py's.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping

from incidents.cases import Fault, Group
from intake.addresses import net_of
from records.finding import Finding

WINDOW_MS = 300_000
MOST_ACTORS = 20
"""More distinct actors than this, within the window, are a fault, however many are active."""
ACTIVE_PERCENT = 1
FEWEST_ACTORS = 10
"""One percent of the active ones counts only where it is at least so many: in a small log it
would be two or three people, and any two attackers a fault."""
MOST_TARGETS = 2
"""An actor who reached more people than this is no bystander. Refused requests reach nobody."""
KEEP_MS = 3 * WINDOW_MS
ENOUGH = 100 * MOST_ACTORS

Entry = tuple[int, str, str]
"""(event time of a finding, whom it counts as, case id)"""


def counts_as(finding: Finding, member: str) -> str:
    """Whom a finding counts as.

    A principal counts as itself. A session without one counts as its address, and an IPv6 address
    as its /64, so that throwing away a cookie or an address with every request cannot pass for an
    outage.
    """
    if len(finding.members) > 1 or finding.actor not in finding.members:
        member = str(finding.actor)
    elif member.startswith("session:") and finding.ips:
        member = f"ip:{finding.ips[0]}"
    net = net_of(member.removeprefix("ip:")) if member.startswith("ip:") else ""
    return f"subnet:{net}" if net else member


Span = tuple[int, int, int]
"""(first, last, when the last actor tipped the balance), event times."""


ENOUGH_ACTIVE = MOST_ACTORS * 100 // ACTIVE_PERCENT
"""With so many active, their percentage is no fewer than MOST_ACTORS."""


def limit_of(active: int) -> int:
    """More actors than this are a fault where so many are active.

    It is MOST_ACTORS, or ACTIVE_PERCENT of the active ones where that is fewer; but a percentage
    below FEWEST_ACTORS says nothing, and MOST_ACTORS stands.
    """
    share = active * ACTIVE_PERCENT // 100
    return min(MOST_ACTORS, share) if share >= FEWEST_ACTORS else MOST_ACTORS


def spans(entries: Iterable[tuple[int, str]], limit: int = MOST_ACTORS) -> list[Span]:
    """When more than `limit` distinct ones fell into one window; entries sorted by time."""
    found: list[Span] = []
    window: list[tuple[int, str]] = []
    first = 0
    inside: Counter[str] = Counter()
    for time_ms, who in entries:
        window.append((time_ms, who))
        inside[who] += 1
        while time_ms - window[first][0] > WINDOW_MS:
            leaving = window[first][1]
            inside[leaving] -= 1
            if not inside[leaving]:
                del inside[leaving]
            first += 1
        if len(inside) <= limit:
            continue
        if found and window[first][0] <= found[-1][1]:
            found[-1] = (found[-1][0], time_ms, found[-1][2])
        else:
            found.append((window[first][0], time_ms, time_ms))
    return found


class Recent:
    """The last minutes' findings by rule: enough to see a fault build up."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}

    def note(self, finding: Finding, member: str, case: str) -> None:
        """Remember one finding of one member's case."""
        entry = (finding.end_ms, counts_as(finding, member), case)
        insort(self._entries.setdefault(finding.rule, []), entry)

    def of(self, rule: str, since_ms: int) -> list[Entry]:
        """Entries of a rule, by time, that can share a window with those from `since_ms` on."""
        entries = self._entries.get(rule, [])
        new = bisect_left(entries, (since_ms,))
        old = bisect_left(entries, (since_ms - WINDOW_MS,))
        # in a flood, the latest of the old ones show it as well as all of them
        return entries[max(old, new - ENOUGH) :]

    def forget(self, watermark_ms: int) -> None:
        """Drop what can take part in no window any more."""
        oldest_ms = watermark_ms - KEEP_MS
        for rule, entries in list(self._entries.items()):
            if entries[0][0] >= oldest_ms:
                continue
            kept = [entry for entry in entries if entry[0] >= oldest_ms]
            if kept:
                self._entries[rule] = kept
            else:
                del self._entries[rule]


def explained_by(group: Group, reached: int, faults: Mapping[str, list[Fault]]) -> Fault | None:
    """The fault that explains every finding of a group, None if it stands for itself.

    `reached` is how many people's data the group reached; `faults` the open ones by rule. Findings
    of an address that sum up several actors are no second opinion on any of them.
    """
    if reached > MOST_TARGETS:
        return None
    explaining: list[Fault] = []
    for case in group.cases:
        for finding in case.findings.values():
            fault = _covering(finding, faults.get(finding.rule, []))
            if fault is not None:
                explaining.append(fault)
            elif len(finding.members) < 2:
                return None
    return min(explaining, key=lambda fault: (fault.opened_ms, fault.rule), default=None)


def _covering(finding: Finding, faults: list[Fault]) -> Fault | None:
    for fault in faults:
        if any(lo <= finding.end_ms <= hi for lo, hi in fault.spans):
            return fault
    return None
