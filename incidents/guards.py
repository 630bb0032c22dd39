"""The guards before enforcement (JUDGEMENT), each a question with a reason a person can act on.

In: who would be blocked, for what, and when. Out: a Guard: refuse, approve (ask a person) or pass.
No guard changes anything; the budget, which needs memory, is policy.py's.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from incidents.population import Population
from incidents.settings import NeverBlock, PolicySettings
from intake.addresses import net_of
from records.finding import Finding
from records.ids import iso
from records.incident import Guard

NEVER_BLOCK_RULES = frozenset({"header_present", "context_failure", "anomaly"})
PASS = Guard("pass", "all guards passed")
BY_PERSON = Guard("pass", "a person decided")
EVIDENCE = Guard("pass", "evidence capture changes nothing")
HOME: tuple[str, ...] = ("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8")
"""Loopback, unspecified and multicast: never a client that a block could stop."""

_Net = IPv4Network | IPv6Network


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """One address that the policy considers to block."""

    target: str
    """An address, or a network in CIDR form."""
    findings: tuple[Finding, ...]
    """Those that would justify the block."""
    principals: frozenset[str]
    """The incident's own principals: never innocent."""
    first_foreign_ms: int
    last_foreign_ms: int
    now_ms: int
    history_from_ms: int


def network_of(target: str) -> _Net | None:
    """The address or network that a target names, None where the text names neither.

    An IPv4 address written as IPv6 (::ffff:192.0.2.1) is the IPv4 one, so that no list is evaded.
    """
    try:
        network = ip_network(target.partition("%")[0], strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen == 128:
        mapped = network.network_address.ipv4_mapped
        return network if mapped is None else ip_network(mapped)
    return network


def overlaps(one: _Net, other: _Net) -> bool:
    """Whether two networks share an address; those of different versions never do."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


class Guards:
    """All guards but the budget. `protected`: trusted proxies and our own addresses."""

    def __init__(
        self, settings: PolicySettings, population: Population, protected: Iterable[str] = ()
    ) -> None:
        self.settings = settings
        self._population = population
        self._protected = [ip_network(text, strict=False) for text in (*HOME, *protected)]
        self._carriers = [ip_network(text) for text in settings.carriers]
        self.relist(settings.never_block)

    def relist(self, entries: Iterable[NeverBlock]) -> None:
        """Take the never-block list as it is now: people add to it while an attack goes on."""
        self._listed = [(ip_network(entry.cidr), entry) for entry in entries]

    def judge(self, situation: Situation) -> Guard:
        """The first refusal in the order of JUDGEMENT, else the first doubt, else pass."""
        answers = [guard for guard in self._answers(situation) if guard is not None]
        for verdict in ("refuse", "approve"):
            for guard in answers:
                if guard.verdict == verdict:
                    return guard
        return PASS

    def _answers(self, situation: Situation) -> Iterator[Guard | None]:
        target, now_ms = situation.target, situation.now_ms
        yield self.place(target, now_ms)
        yield _untrusted(situation)
        yield self.crowd(target, situation.first_foreign_ms, now_ms, situation.principals)
        yield self._backlog(situation)
        yield self._history(situation)
        yield self._confidence(situation)
        yield _rules(situation)

    def place(self, target: str, now_ms: int) -> Guard | None:
        """Refuse the never-block list, trusted proxies, loopback and our own addresses."""
        if (network := network_of(target)) is None:
            return Guard("refuse", f"{target!r} is no address: see which field client_ip names")
        for listed, entry in self._listed:
            if not overlaps(network, listed):
                continue
            if entry.until_ms is not None and now_ms >= entry.until_ms:
                continue
            reason = f" ({entry.reason})" if entry.reason else ""
            return Guard("refuse", f"{target} is on the never-block list: {entry.cidr}{reason}")
        for own in self._protected:
            if overlaps(network, own):
                return Guard("refuse", f"{target} is in {own}: a trusted proxy or our own address")
        return None

    def crowd(
        self, target: str, before_ms: int, now_ms: int, principals: frozenset[str]
    ) -> Guard | None:
        """Refuse where innocents would be cut off, ask where nobody can be counted."""
        innocents = self._population.innocents(target, before_ms, now_ms, principals)
        if innocents is None:
            why = (
                f"nobody behind {target} can be counted: no vouched-for principals in the last hour"
            )
            return Guard("approve", why)
        network = network_of(target)
        single = network is None or network.prefixlen >= (32 if network.version == 4 else 64)
        limit = self.settings.max_innocents if single else 0
        if innocents > limit:
            why = (
                f"{innocents} innocent principals behind {target} in the last hour (limit {limit})"
            )
            return Guard("refuse", why)
        return None

    def is_carrier(self, target: str) -> bool:
        """Whether the configuration names the target's network as a carrier's."""
        network = network_of(target)
        return network is not None and any(overlaps(network, c) for c in self._carriers)

    def _backlog(self, situation: Situation) -> Guard | None:
        age_s = (situation.now_ms - situation.last_foreign_ms) / 1000
        if age_s <= self.settings.stale_after:
            return None
        last = iso(situation.last_foreign_ms)
        limit_min = self.settings.stale_after / 60
        why = f"backlog: the last foreign event was at {last}, over {limit_min:g} min before now"
        return Guard("refuse", why)

    def _history(self, situation: Situation) -> Guard | None:
        history_s = (situation.now_ms - situation.history_from_ms) / 1000
        if history_s >= self.settings.min_history:
            return None
        why = (
            f"only {max(history_s, 0) / 60:.0f} min of history "
            f"(needs {self.settings.min_history / 60:g}): who is usual here is not known yet"
        )
        return Guard("approve", why)

    def _confidence(self, situation: Situation) -> Guard | None:
        confidence = max(finding.confidence for finding in situation.findings)
        if confidence >= self.settings.min_confidence:
            return None
        limit = self.settings.min_confidence
        # 0.8999 must not be shown as 0.90 below 0.90
        shown = int(confidence * 100 + 1e-9) / 100
        return Guard("approve", f"confidence {shown:.2f} below {limit:.2f}")


def _untrusted(situation: Situation) -> Guard | None:
    target = situation.target
    if not any(target in (ip, net_of(ip)) for f in situation.findings for ip in f.untrusted_ips):
        return None
    why = (
        f"{situation.target} comes from a forwarding header that no trusted proxy set: "
        "list the proxy under intake.trusted_proxies"
    )
    return Guard("refuse", why)


def _rules(situation: Situation) -> Guard | None:
    rules = {finding.rule for finding in situation.findings}
    if rules - NEVER_BLOCK_RULES:
        return None
    return Guard("refuse", f"{', '.join(sorted(rules))} never blocks by itself")
