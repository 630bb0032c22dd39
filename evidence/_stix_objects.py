"""Makes the objects of one STIX 2.1 bundle, with their ids, times and markings.

Values in, objects of the library out, by id; the text of the whole is the same for the same
values. It must not decide what is told: that is `stix.py`.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any, NamedTuple
from uuid import uuid5

import stix2  # type: ignore[import-untyped]

from evidence.stix_terms import (
    BORN,
    EXTENSION,
    EXTENSION_TEXT,
    NAMESPACE,
    TLP,
    TLP_BORN,
    TLP_EXTENSION,
    Pattern,
)

SOFTWARE = "Breachline"


class Objects:
    """The objects of one bundle by id; each gets its producer, its times and its marking."""

    def __init__(self, now: str, producer: str, tlp: str) -> None:
        self.by_id: dict[str, Any] = {}
        self._now = now
        self._seed = producer
        self._marking = TLP[tlp]
        self.software = self.keep(
            stix2.Identity(
                id=object_id("identity", "software"),
                created=BORN,
                modified=BORN,
                name=SOFTWARE,
                identity_class="system",
            )
        )
        self.keep(
            stix2.MarkingDefinition(
                id=self._marking,
                created=TLP_BORN,
                name=f"TLP:{tlp.upper()}",
                extensions={
                    TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp}
                },
            )
        )
        self.keep(
            stix2.ExtensionDefinition(
                id=EXTENSION,
                created=BORN,
                modified=BORN,
                created_by_ref=self.software,
                name="Breachline incident and evidence",
                description="What an incident counts, and which log lines a finding rests on.",
                schema=EXTENSION_TEXT,
                version="1.0.0",
                extension_types=["property-extension"],
            )
        )
        self.producer = self.software
        if producer:
            # Of the time at which ids began: a name has no other.
            self.producer = self.keep(
                stix2.Identity(
                    id=object_id("identity", "producer", producer),
                    created=BORN,
                    modified=BORN,
                    name=producer,
                    identity_class="organization",
                )
            )

    def keep(self, made: Any) -> str:
        """Take an object; its id."""
        self.by_id[made["id"]] = made
        return str(made["id"])

    def add(self, kind: type[Any], what: Sequence[str], created: str, **fields: Any) -> str:
        """Make an object of the producer's; `what` tells it from others of its kind.

        It is a new version in each bundle: what is known of an incident grows.
        """
        return self.keep(
            kind(
                id=object_id(kind._type, self._seed, *what),  # noqa: SLF001  the library's only name for it
                created_by_ref=self.producer,
                created=created,
                modified=max(created, self._now),
                object_marking_refs=[self._marking],
                **fields,
            )
        )

    def observable(self, kind: type[Any], **fields: Any) -> str:
        """Make a cyber-observable: its id is a function of its value, by the standard."""
        return self.keep(kind(object_marking_refs=[self._marking], **fields))

    def attack_pattern(self, pattern: Pattern) -> str:
        """Make an attack pattern, the same in every bundle, unless it is there."""
        name = object_id("attack-pattern", pattern.name)
        if name in self.by_id:
            return name
        references = [
            {"source_name": source, "external_id": there, "url": url}
            for source, there, url in pattern.references
        ]
        return self.keep(
            stix2.AttackPattern(
                id=name,
                created_by_ref=self.software,
                created=BORN,
                modified=BORN,
                name=pattern.name,
                description=pattern.description,
                external_references=references,
            )
        )

    def relate(self, source: str, how: str, target: str, created: str) -> None:
        """Make a relationship."""
        self.add(
            stix2.Relationship,
            (source, how, target),
            created,
            source_ref=source,
            relationship_type=how,
            target_ref=target,
        )

    def text(self) -> str:
        """The bundle as JSON."""
        made = [self.by_id[name] for name in sorted(self.by_id)]
        content = "\n".join(one.serialize(sort_keys=True) for one in made)
        whole = stix2.Bundle(id=object_id("bundle", content), objects=made)
        return str(whole.serialize(sort_keys=True, indent=2)) + "\n"


def object_id(kind: str, *what: str) -> str:
    """The id of what stands under these names, the same in every bundle."""
    name = "".join(f"{len(part)}:{part}" for part in (kind, *what))
    return f"{kind}--{uuid5(NAMESPACE, name)}"


def extension(values: Mapping[str, Any]) -> dict[str, Any]:
    """`extensions` that holds these values."""
    return {EXTENSION: {"extension_type": "property-extension", **values}}


class Address(NamedTuple):
    """An address or network as STIX writes it."""

    kind: str
    """ipv4-addr or ipv6-addr."""
    value: str
    network: bool
    """Whether it is more than one address."""


def address(text: str) -> Address | None:
    """What a text is as an address, None if it is none."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    whole = found.num_addresses > 1
    return Address(f"ipv{found.version}-addr", str(found if whole else found[0]), whole)


def observation(path: str, value: str, *, network: bool = False) -> str:
    """The pattern of one value, or of the addresses in a network."""
    compare = stix2.IsSubsetComparisonExpression if network else stix2.EqualityComparisonExpression
    return str(stix2.ObservationExpression(compare(path, value)))
