"""What of a judged event goes on to detectors and into the affected set (FLOW 3, 6).

In: an AccessEvent with its verdict. Out: its Signal and Exposures, or nothing for ordinary ones.
Facts only: how severe they are is decided by detectors.
"""

import re

import msgspec

from intake.addresses import subnet_of
from intake.homes import Homes
from intake.outcome import certainty_of
from records.event import AccessEvent, Exposure, Signal
from records.ids import digest
from records.kinds import Basis, Provenance, TokenFault, Verdict

_CRAWLER = re.compile(
    r"bot\b|crawl|spider|slurp|facebookexternalhit|preview|monitor|uptime|headlesschrome",
    re.IGNORECASE,
)
_MAX_FINGERPRINTS = 20_000
_CACHED_LENGTH = 1_024


class Judged(msgspec.Struct, gc=False):
    """One line's verdict, before it becomes records."""

    targets: tuple[str, ...]
    foreign: tuple[str, ...]
    basis: Basis
    verdict: Verdict
    allowed: str = ""
    out_of_bounds: str = ""
    claims: tuple[str, ...] = ()
    """Targets that only an identity header names."""
    crossed: bool = False
    """Another tenant than the caller's was asked for."""
    learned: bool = False
    """That these are users' ids, or whose object it is, was learned, not said."""
    unknown: tuple[str, ...] = ()
    """Objects whose owner their source cannot name, beside the targets."""
    source: str = ""
    """The ownership source of `unknown`."""
    asks: bool = False
    """It is a service that will be asked for them at assessment."""


class Signals:
    """Makes signals; remembers digests of user agents."""

    def __init__(self) -> None:
        self._agents: dict[str, tuple[str, bool]] = {}
        self.homes = Homes()

    def signal(
        self,
        event: AccessEvent,
        judged: Judged,
        *,
        mismatch: bool,
        canaries: tuple[str, ...],
        credentials: Provenance,
        token: TokenFault = "",
    ) -> Signal:
        """The signal of a notable event. `credentials`: what this source's principals are worth."""
        fingerprint, crawler = self._agent(event.user_agent)
        foreign = judged.verdict == "foreign" and not judged.allowed
        elsewhere: tuple[str, ...] = ()
        subnet = subnet_of(event.ip)
        if judged.verdict == "undetermined" and judged.targets and event.ip:
            # An IPv6 device takes another address of its /64 every day, and is at home in all.
            place = (subnet if ":" in event.ip else "") or event.ip
            is_elsewhere, time_ms = self.homes.is_elsewhere, event.time_ms
            elsewhere = tuple([t for t in judged.targets if is_elsewhere(t, place, time_ms)])
        return Signal(
            event=event.id,
            time_ms=event.time_ms,
            late=event.late,
            ip=event.ip,
            ip_trusted=event.ip_trusted,
            subnet=subnet,
            principal=event.principal,
            provenance=event.provenance,
            authentication=event.authentication,
            session=event.session,
            fingerprint=fingerprint,
            claimed=event.claimed,
            route=event.route,
            method=event.method,
            status=event.status,
            targets=judged.foreign if foreign else judged.targets,
            object=event.object,
            category=event.category,
            effect=event.effect,
            outcome=event.outcome,
            certainty=certainty_of(event.outcome, judged.basis, learned=judged.learned),
            basis=judged.basis,
            # An allowed access that trips a canary is judged for the canary alone.
            verdict="own" if judged.allowed else judged.verdict,
            mismatch=mismatch,
            canaries=canaries,
            elsewhere=elsewhere,
            out_of_bounds=judged.out_of_bounds,
            cross_site=event.cross_site,
            crawler=crawler,
            credentials=credentials,
            token=token,
        )

    def _agent(self, user_agent: str) -> tuple[str, bool]:
        """(fingerprint, whether it is a crawler)."""
        known = self._agents.get(user_agent)
        if known is None:
            known = digest(user_agent, length=12), bool(_CRAWLER.search(user_agent))
            if len(user_agent) <= _CACHED_LENGTH:
                if len(self._agents) >= _MAX_FINGERPRINTS:
                    self._agents.clear()
                self._agents[user_agent] = known
        return known


def exposures(signal: Signal, judged: Judged, asker: str = "") -> list[Exposure]:
    """One exposure a target of a foreign or undetermined signal, and one an unknown object.

    `asker` is who may turn out to own such an object; "" for nobody.
    """
    if signal.verdict not in {"foreign", "undetermined"}:
        return []
    if judged.unknown:
        unknown = _unknown(signal, judged, asker)
        return [*_known(signal, judged), *unknown] if signal.targets else unknown
    return _known(signal, judged)


def _unknown(signal: Signal, judged: Judged, asker: str) -> list[Exposure]:
    """Exposures of objects of a configured source that names no owner.

    `basis` is ownership where their source is still to be asked, "" where nobody will be.
    """
    certain = signal.authentication == "anonymous" or judged.crossed
    return [
        Exposure(
            event=signal.event,
            time_ms=signal.time_ms,
            actor=signal.actor,
            session=signal.session,
            principal=asker,
            provenance=signal.provenance if asker else "",
            ip=signal.ip,
            fingerprint=signal.fingerprint,
            object=item,
            route=judged.source,
            category=signal.category,
            effect=signal.effect,
            certainty=certainty_of(signal.outcome, ""),
            basis="ownership" if judged.asks else "",
            verdict="foreign" if judged.asks and certain else "undetermined",
        )
        for item in judged.unknown
    ]


def _known(signal: Signal, judged: Judged) -> list[Exposure]:
    if not (signal.targets or signal.object):
        return []
    actor = signal.actor
    claims = judged.claims
    targets = signal.targets or ("",)
    return [
        Exposure(
            event=signal.event,
            time_ms=signal.time_ms,
            actor=actor,
            session=signal.session,
            principal=signal.principal,
            provenance=signal.provenance,
            ip=signal.ip,
            fingerprint=signal.fingerprint,
            target=target,
            object=signal.object,
            route=signal.route,
            category=signal.category,
            effect=signal.effect,
            certainty=(
                "presumed"
                if target in claims and signal.certainty == "proven"
                else signal.certainty
            ),
            basis="claimed" if target in claims else signal.basis,
            verdict=signal.verdict,
        )
        for target in targets
    ]


def is_notable(event: AccessEvent) -> bool:
    """Foreign; or undetermined with a target or claim; or a denial of an unknown owner's object."""
    if event.allowed:
        return False
    if event.verdict == "foreign":
        return True
    if event.verdict != "undetermined" or event.status == 401:
        return False
    return bool(event.targets or event.claimed or (event.object and event.outcome == "denied"))
