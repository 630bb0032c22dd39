"""Which exposures belong to a case: the look-back, the way forward, and undetermined bursts.

A case and the store of exposures in, its ledger out; then one exposure at a time. What `gather`
folds from the store and what `Tally.add` folds as it comes MUST be the same set.
"""

from incidents.affected import Ledger
from incidents.cases import QUIET_MS, Case, source_of
from incidents.owners import awaits, is_unnamed
from records.event import Actor, Exposure
from records.stores import ExposureStore

BURST_MS = 300_000
"""Undetermined exposures belong to one burst while no gap is longer."""
LATENESS_MS = 60_000
FOREVER_MS = 1 << 62


class Tally:
    """The running ledger of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.ledger = Ledger()
        findings = case.undetermined
        self.fresh: list[str] = []
        """Sessions that the actor turned out to use; whoever joins actors empties it."""
        self.spans = merged([(f.start_ms, f.end_ms) for f in findings], BURST_MS)
        named = [set(finding.fingerprints) for finding in findings]
        self._prints: set[str] | None = None
        if case.actor.type in ("ip", "subnet") and named and all(named):
            self._prints = set().union(*named)
        self._ips: set[str] | None = None
        if case.actor.type == "subnet" and all(f.actor.type == "ip" for f in findings):
            # Each went through ids alone: what the others of the /64 asked for may be their own.
            self._ips = {ip for finding in findings for ip in finding.ips}
        self._waiting: list[Exposure] = []
        self.usual: frozenset[str] = frozenset()
        """Ids that the actor asked for again and again before: their own, or a neighbour's."""

    def add(self, exposure: Exposure) -> bool:
        """Count an exposure of this case's actors if it belongs; False if nothing changed."""
        if exposure.verdict == "foreign":
            return self.count(exposure)
        if not self.takes(exposure):
            return False
        if not self._reaches(exposure.time_ms):
            # one that is still under way, within the lateness, may close the gap
            if self._reaches(exposure.time_ms, LATENESS_MS):
                self._waiting.append(exposure)
            return False
        changed = self.count(exposure)
        while near := [e for e in self._waiting if self._reaches(e.time_ms)]:
            self._waiting = [e for e in self._waiting if not self._reaches(e.time_ms)]
            for waiting in near:
                changed |= self.count(waiting)
        return changed

    def takes(self, exposure: Exposure) -> bool:
        """Whether an undetermined exposure is of the kind that the case's fan-out was made of."""
        if exposure.verdict != "undetermined" or not self.spans:
            return False
        if exposure.principal and awaits(exposure):
            # It is foreign or own, and no fan-out is needed to tell.
            return False
        if exposure.target in self.usual:
            return False
        if self._ips is not None and exposure.ip not in self._ips:
            return False
        return self._prints is None or exposure.fingerprint in self._prints

    def note(self, exposure: Exposure) -> bool:
        """Count the object of an access that may have been the caller's own."""
        self._case.noted_ms = max(self._case.noted_ms, exposure.time_ms)
        return self.ledger.note(exposure)

    def is_beside(self, exposure: Exposure) -> bool:
        """Whether it is an access to an object of unknown owner that counts beside the case."""
        return is_unnamed(exposure) and not self.takes(exposure)

    def count(self, exposure: Exposure) -> bool:
        """Count an exposure that is known to belong."""
        if exposure.verdict == "undetermined":
            self.spans = merged([*self.spans, (exposure.time_ms, exposure.time_ms)], BURST_MS)
        self._case.last_ms = max(self._case.last_ms, exposure.time_ms)
        self._case.sources.add(source_of(exposure.event))
        if exposure.actor == self._case.actor:
            self.fresh += self._case.uses([exposure.session], exposure.time_ms)
        return self.ledger.add(exposure)

    def _reaches(self, time_ms: int, more_ms: int = 0) -> bool:
        reach_ms = BURST_MS + more_ms
        return any(lo - reach_ms <= time_ms <= hi + reach_ms for lo, hi in self.spans)


def merged(spans: list[tuple[int, int]], gap_ms: int) -> list[tuple[int, int]]:
    """Spans joined where at most `gap_ms` lies between them, by time."""
    joined: list[tuple[int, int]] = []
    for lo, hi in sorted(spans):
        if joined and lo - joined[-1][1] <= gap_ms:
            joined[-1] = (joined[-1][0], max(joined[-1][1], hi))
        else:
            joined.append((lo, hi))
    return joined


def gather(
    case: Case,
    others: frozenset[str],
    store: ExposureStore,
    *,
    history_from_ms: int,
    step_ms: int,
    until_ms: int = FOREVER_MS,
    held_from_ms: int = FOREVER_MS,
) -> Tally:
    """Look back from a case's first finding, note on the case how far, and fold what belongs.

    At least as far back as `held_from_ms`, where the cases that it stands for got to.
    """
    if not case.held:
        _look_back(case, store, history_from_ms, step_ms)
        case.from_ms = min(case.from_ms, held_from_ms)
    return refold(case, others, store, step_ms=step_ms, until_ms=until_ms)


def refold(
    case: Case,
    others: frozenset[str],
    store: ExposureStore,
    *,
    step_ms: int,
    until_ms: int = FOREVER_MS,
) -> Tally:
    """Fold a case from the store as far back as it was looked before: after a restart, say.

    `others` are sessions whose exposures another case of the incident counts. A case that is held
    counts none itself.
    """
    tally = Tally(case)
    if case.held:
        return tally
    _forward(case, tally, store, until_ms)
    for session in sorted(case.sessions.keys() - others):
        add_session(case, tally, session, store, until_ms)
    if case.undetermined:
        tally.usual = _usual(case, store, step_ms)
        for exposure in _burst(case, tally, store, step_ms, until_ms):
            tally.add(exposure)
    return tally


def add_session(
    case: Case, tally: Tally, session: str, store: ExposureStore, until_ms: int = FOREVER_MS
) -> bool:
    """Count what a principal's session did while no principal was known; False if nothing."""
    changed = False
    end_ms = min(until_ms, case.last_ms + QUIET_MS)
    for exposure in store.exposures_of([Actor("session", session)], case.from_ms, end_ms):
        if exposure.verdict == "foreign":
            changed |= tally.add(exposure)
        elif tally.is_beside(exposure):
            changed |= tally.note(exposure)
    return changed


def _look_back(case: Case, store: ExposureStore, history_from_ms: int, step_ms: int) -> None:
    """Step back from the first finding until a step without foreign exposures."""
    edge_ms = case.start_ms
    while edge_ms > history_from_ms:
        step = store.exposures_of([case.actor], edge_ms - step_ms, edge_ms)
        if not any(exposure.verdict == "foreign" for exposure in step):
            break
        edge_ms -= step_ms
    # the empty step is part of what was looked at, as far as it is kept
    case.complete = edge_ms - step_ms >= history_from_ms
    case.from_ms = min(edge_ms, max(edge_ms - step_ms, history_from_ms))


def _forward(case: Case, tally: Tally, store: ExposureStore, until_ms: int) -> None:
    last_ms = case.last_ms
    for exposure in store.exposures_of([case.actor], case.from_ms, until_ms):
        is_foreign = exposure.verdict == "foreign"
        if not (is_foreign or tally.is_beside(exposure)):
            continue
        if exposure.time_ms - last_ms > QUIET_MS:
            return
        if is_foreign:
            last_ms = max(last_ms, exposure.time_ms)
            tally.count(exposure)
        else:
            tally.note(exposure)


def _usual(case: Case, store: ExposureStore, step_ms: int) -> frozenset[str]:
    """Undetermined targets that were asked for on two occasions before the actor's fan-out.

    Nobody says whose a request of one address was: people behind it come back to their own data,
    while a walk visits an id once. What was tried right before is part of the walk.
    """
    before_ms = min(finding.start_ms for finding in case.undetermined) - BURST_MS
    first: dict[str, int] = {}
    usual: set[str] = set()
    for exposure in store.exposures_of([case.actor], before_ms - step_ms, before_ms):
        target, time_ms = exposure.target, exposure.time_ms
        if not target or exposure.verdict != "undetermined":
            continue
        if time_ms - first.setdefault(target, time_ms) > BURST_MS:
            usual.add(target)
    return frozenset(usual)


def _burst(
    case: Case, tally: Tally, store: ExposureStore, step_ms: int, until_ms: int
) -> list[Exposure]:
    """The undetermined exposures connected to the findings, however far back they go."""
    seeds = [(finding.start_ms, finding.end_ms) for finding in case.undetermined]
    since_ms = min(lo for lo, _ in seeds)
    while True:
        since_ms -= step_ms
        found: list[Exposure] = []
        last_ms = max(hi for _, hi in seeds)
        for exposure in store.exposures_of([case.actor], since_ms, until_ms):
            if exposure.time_ms > last_ms + BURST_MS + LATENESS_MS:
                break
            if tally.takes(exposure):
                found.append(exposure)
                if exposure.time_ms <= last_ms + BURST_MS:
                    last_ms = max(last_ms, exposure.time_ms)
        spans = merged([*seeds, *((e.time_ms, e.time_ms) for e in found)], BURST_MS)
        own = [span for span in spans if any(span[0] <= lo <= span[1] for lo, _ in seeds)]
        if own[0][0] - BURST_MS >= since_ms:
            tally.spans = own
            return found
