"""An incident as a STIX 2.1 bundle, for those who share threat intelligence.

In: the documents that people are shown (CONTRACT 3 to 5), and the time. Out: JSON text, the same
for the same input. No affected person's id may be in it unless `victims` gives them: without them
nothing is taken from a message, a reason, a list of users or a line's digest, only numbers. Of a
fault nobody is named, and no address is given for others to block that our own guards refused.
Importing this module takes a second: import it where it is used.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import stix2  # type: ignore[import-untyped]

from evidence._stix_objects import Objects, address, extension, observation
from evidence.stix_terms import ACTIONS, NAMES_A_TARGET, PATTERNS
from records.ids import iso

Document = Mapping[str, Any]

_NOBODY_TO_NAME = frozenset({"fault", "test"})
"""Causes whose actors are bystanders, or a drill's."""
_OF_INCIDENT = (
    "version", "severity", "status", "cause", "breach", "rules", "first_seen", "last_seen",
    "affected_count", "affected_upper", "attempted_count", "unknown_objects", "records_count",
    "categories", "coverage", "clocks",
)  # fmt: skip


def stix_bundle(
    incident: Document,
    findings: Iterable[Document],
    actions: Iterable[Document],
    receipts: Iterable[Document],
    *,
    now_ms: int,
    producer: str = "",
    tlp: str = "amber",
    victims: Iterable[str] | None = None,
) -> str:
    """The bundle as JSON, objects and keys sorted, with a line feed at its end.

    receipts: each with `action`, `state`, `at_ms`, `point`, in order of arrival. producer: the
    organization in whose name it is given out, "" for none but the software. tlp: a key of
    `stix_terms.TLP`. victims: ids of affected users; with them, messages stand as they are.

    Raises:
        KeyError: `tlp` is no level of TLP 2.0.
    """
    export = _Export(incident, Objects(iso(now_ms), producer, tlp), victims)
    return export.text(
        sorted(findings, key=lambda finding: str(finding["event"]["id"])),
        sorted(actions, key=lambda action: str(action["id"])),
        list(receipts),
    )


class _Export:
    """One incident on its way into a bundle."""

    def __init__(self, incident: Document, objects: Objects, victims: Iterable[str] | None) -> None:
        self._document = incident
        self._objects = objects
        self._victims = None if victims is None else sorted(set(victims))
        self._created = str(incident["clocks"]["awareness"])
        self._open = incident["cause"] not in _NOBODY_TO_NAME
        """Whether attackers may be named."""
        self._attackers = self._named()
        self._incident = ""

    def text(
        self,
        findings: Sequence[Document],
        actions: Sequence[Document],
        receipts: Sequence[Document],
    ) -> str:
        """The bundle of all these."""
        self._incident = self._add_incident(findings)
        observed = {finding["event"]["id"]: self._add_finding(finding) for finding in findings}
        for action in actions:
            answers = [one for one in receipts if one["action"] == action["id"]]
            measure = self._add_action(action, answers)
            of = [finding for finding in findings if finding["event"]["id"] in action["findings"]]
            if indicator := self._add_indicator(action, answers, of, observed):
                self._objects.relate(measure, "mitigates", indicator, action["decided"])
        if self._victims:
            self._add_victims(self._victims)
        return self._objects.text()

    def _named(self) -> dict[tuple[str, str], str]:
        """Attackers' addresses and accounts, as (type, value) -> their observables."""
        if not self._open:
            return {}
        # An account that somebody else may have used has an owner who may be a victim.
        hidden = {
            account["id"]
            for account in self._document["actor_accounts"]
            if account["relation"] == "possibly_compromised" and self._victims is None
        }
        named: dict[tuple[str, str], str] = {}
        for actor in self._document["actors"]:
            kind, value = actor["type"], actor["value"]
            if kind == "principal" and value not in hidden:
                named[kind, value] = self._objects.observable(stix2.UserAccount, user_id=value)
            elif kind in {"ip", "subnet"} and (place := address(value)):
                made = stix2.IPv4Address if place.kind == "ipv4-addr" else stix2.IPv6Address
                named[kind, value] = self._objects.observable(made, value=place.value)
        return named

    def _add_incident(self, findings: Sequence[Document]) -> str:
        document, objects = self._document, self._objects
        name = objects.add(
            stix2.Incident,
            (document["id"],),
            self._created,
            name=f"{document['severity']}: {document['title']}",
            description=_summary(document),
            labels=sorted({document["cause"], *(["breach"] if document["breach"] else [])}),
            external_references=[_reference(document)],
            extensions=extension(
                {"incident": document["id"], **{key: document[key] for key in _OF_INCIDENT}}
            ),
            **_confidence(findings),
        )
        for attacker in sorted(self._attackers.values()):
            objects.relate(attacker, "related-to", name, self._created)
        return name

    def _add_finding(self, finding: Document) -> str:
        """Its note, and what was observed of attackers; the id of the latter, "" if nothing was."""
        objects, rule, created = self._objects, finding["rule"], finding["@timestamp"]
        observed = self._observe(finding)
        if observed:
            objects.relate(observed, "related-to", self._incident, created)
        objects.add(
            stix2.Note,
            (finding["event"]["id"],),
            created,
            abstract=rule["name"],
            content=_sentence(finding) if self._victims is None else finding["message"],
            object_refs=[self._incident, *([observed] if observed else [])],
        )
        if self._open and rule["id"] in PATTERNS:
            pattern = objects.attack_pattern(PATTERNS[rule["id"]])
            objects.relate(self._incident, "related-to", pattern, self._created)
            self._sight(pattern, finding, observed)
        return observed

    def _observe(self, finding: Document) -> str:
        ours, event, rule = finding["breachline"], finding["event"], finding["rule"]
        keys = {("ip", ip) for ip in finding.get("related", {}).get("ip", ())}
        keys.add((ours["actor"]["type"], ours["actor"]["value"]))
        keys.add(("principal", finding.get("user", {}).get("id", "")))
        attackers = sorted(self._attackers[key] for key in keys if key in self._attackers)
        if not attackers:
            return ""
        return self._objects.add(
            stix2.ObservedData,
            (event["id"],),
            finding["@timestamp"],
            first_observed=event["start"],
            last_observed=event["end"],
            number_observed=max(1, len(ours["evidence"])),
            object_refs=attackers,
            extensions=extension(
                {
                    "finding": event["id"],
                    "rule": rule["id"],
                    "rule_version": rule["version"],
                    "severity": ours["severity"],
                    "confidence": ours["confidence"],
                    "numbers": _numbers(ours["explain"]),
                    "evidence": [self._place(line) for line in ours["evidence"]],
                }
            ),
        )

    def _place(self, line: Document) -> Document:
        # Whoever knows the rest of a line can try out ids until one gives its digest.
        hidden = {"sha256"} if self._victims is None else set()
        return {name: value for name, value in line.items() if name not in hidden}

    def _sight(self, what: str, finding: Document, observed: str) -> None:
        event = finding["event"]
        self._objects.add(
            stix2.Sighting,
            (event["id"], what),
            finding["@timestamp"],
            sighting_of_ref=what,
            where_sighted_refs=[self._objects.producer],
            first_seen=event["start"],
            last_seen=event["end"],
            count=len(finding["breachline"]["evidence"]),
            **({"observed_data_refs": [observed]} if observed else {}),
        )

    def _add_action(self, action: Document, answers: Sequence[Document]) -> str:
        guard = action["guard"]
        until = f" Until {action['until']}." if action["until"] else ""
        steps = ", ".join(f"{one['point']} {one['state']} {iso(one['at_ms'])}" for one in answers)
        target = f" {action['target']}" if self._may_name(action) else ""
        name = self._objects.add(
            stix2.CourseOfAction,
            (action["id"],),
            action["decided"],
            name=f"{ACTIONS[action['kind']]}{target}",
            description=(
                f"Mode {action['mode']}. Guards: {guard['verdict']}, {guard['why']}.{until} "
                f"Answers: {steps or 'none'}."
            ),
            labels=sorted({action["kind"], action["mode"]}),
            external_references=[_reference(action)],
        )
        self._objects.relate(name, "related-to", self._incident, action["decided"])
        return name

    def _may_name(self, action: Document) -> bool:
        if action["kind"] == "block_principal":
            return ("principal", action["target"]) in self._attackers
        return self._open and action["kind"] in NAMES_A_TARGET

    def _add_indicator(
        self,
        action: Document,
        answers: Sequence[Document],
        findings: Sequence[Document],
        observed: Mapping[str, str],
    ) -> str:
        """The indicator of a block, "" where there is none that others may use."""
        guard, until, decided = action["guard"], action["until"], action["decided"]
        pattern = self._pattern(action)
        if not pattern or guard["verdict"] == "refuse":
            return ""
        start = min([*(finding["event"]["start"] for finding in findings), decided])
        passed = guard["verdict"] == "pass"
        name = self._objects.add(
            stix2.Indicator,
            (action["id"],),
            decided,
            name=f"Attacker of {self._document['id']}",
            description=f"Guards: {guard['verdict']}, {guard['why']}.",
            indicator_types=["malicious-activity" if passed else "anomalous-activity"],
            pattern=pattern,
            pattern_type="stix",
            valid_from=start,
            **({"valid_until": until} if until and until > start else {}),
            # Rejected, withdrawn or lifted before its time: who was given it must drop it.
            **({"revoked": True} if _taken_back(answers, until) else {}),
            **_confidence(findings),
        )
        self._objects.relate(name, "related-to", self._incident, decided)
        for finding in findings:
            if data := observed[finding["event"]["id"]]:
                self._objects.relate(name, "based-on", data, decided)
                self._sight(name, finding, data)
            if finding["rule"]["id"] in PATTERNS:
                kind = self._objects.attack_pattern(PATTERNS[finding["rule"]["id"]])
                self._objects.relate(name, "indicates", kind, decided)
        return name

    def _pattern(self, action: Document) -> str:
        target = action["target"]
        if action["kind"] == "block_principal" and self._may_name(action):
            return observation("user-account:user_id", target)
        if action["kind"] == "block_ip" and self._open and (place := address(target)):
            return observation(f"{place.kind}:value", place.value, network=place.network)
        return ""

    def _add_victims(self, victims: Sequence[str]) -> None:
        document, objects = self._document, self._objects
        accounts = [objects.observable(stix2.UserAccount, user_id=victim) for victim in victims]
        name = objects.add(
            stix2.ObservedData,
            (document["id"], "affected"),
            self._created,
            first_observed=document["first_seen"],
            last_observed=document["last_seen"],
            number_observed=len(accounts),
            object_refs=sorted(accounts),
            labels=["affected"],
        )
        objects.relate(name, "related-to", self._incident, self._created)


def _reference(document: Document) -> dict[str, str]:
    return {"source_name": "breachline", "external_id": document["id"]}


def _taken_back(answers: Sequence[Document], until: str | None) -> bool:
    if not answers or answers[-1]["state"] != "expired":
        return False
    return until is None or iso(answers[-1]["at_ms"]) < until


def _confidence(findings: Iterable[Document]) -> dict[str, int]:
    """`confidence` from 0 to 100: the highest, rounded down; nothing where there is none."""
    known = [finding["breachline"]["confidence"] for finding in findings]
    return {"confidence": int(max(known) * 100 + 1e-9)} if known else {}


def _numbers(explain: Document) -> dict[str, int | float]:
    """What of an explanation cannot name anybody."""
    return {name: value for name, value in sorted(explain.items()) if type(value) in {int, float}}


def _sentence(finding: Document) -> str:
    rule, ours, event = finding["rule"], finding["breachline"], finding["event"]
    numbers = "".join(f", {name} {value:g}" for name, value in _numbers(ours["explain"]).items())
    return (
        f"{rule['id']}, {ours['severity']}, confidence {ours['confidence']:g}, from "
        f"{event['start']} to {event['end']}: requests {len(ours['evidence'])}, people "
        f"{ours['affected_count']}{numbers}."
    )


def _summary(document: Document) -> str:
    coverage = document["coverage"]
    whole = "complete" if coverage["complete"] else "incomplete"
    return (
        f"Data of {document['affected_count']} people was reached, of "
        f"{document['affected_upper']} at most; for {document['attempted_count']} it was tried. "
        f"{document['records_count']} records (categories: "
        f"{', '.join(document['categories']) or 'none'}); {document['unknown_objects']} objects "
        f"whose owner nobody could name. Rules: {', '.join(document['rules'])}. "
        f"Cause: {document['cause']}. From {document['first_seen']} to {document['last_seen']}. "
        f"The logs are {whole} from {coverage['from']}."
    )
