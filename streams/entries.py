"""What was concluded, and under which configuration, as entries of the log that proves itself.

Findings, versions of incidents and settings come in, in the transaction that keeps them; entries go
out. A finding is entered once. A version of an incident that differs in counts alone is entered at
most once a minute of event time, and the last of them when its minute is over: the log grows with
attacks, not with their lines. It judges nothing.
"""

from collections.abc import Iterable, Iterator
from hashlib import file_digest
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import msgspec

from evidence.entry import canonical
from evidence.store import EmbeddedStore
from incidents.documents import incident_document
from intake.redact import mask
from records.finding import Finding
from records.ids import digest
from records.incident import Incident
from streams.results import finding_documents
from streams.settings import Settings, named_files

COUNTS_MS = 60_000
"""Between two entries of an incident that differ in counts alone."""
CONFIGURATION = "configuration"
"""The subject of configurations, as `Log.payloads` takes it."""
_COUNTS = (
    "version", "title", "last_seen", "affected_count", "affected_upper", "attempted_count",
    "unknown_objects", "records_count", "coverage",
)  # fmt: skip
_SPACE = "entered"
_NEVER_MS = 1 << 62


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    """Which version of an incident was entered last."""

    version: int
    same: str
    """Digest of all but its counts."""
    at_ms: int
    """Event time of that entry."""
    waits: bool
    """A later version differs in counts, and has no entry yet."""


class Entries:
    """Enters findings and incidents; MUST be driven inside the transaction that keeps them."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store
        self._marks: dict[str, _Mark] | None = None
        self._waiting: dict[str, int] = {}
        """Incident -> when its minute is over."""
        self._due_ms = _NEVER_MS

    def findings(self, findings: Iterable[Finding], now_ms: int) -> None:
        """Findings that are new, in the store already."""
        for document in finding_documents(self._store, findings):
            name = document["event"]["id"]
            self._store.log.append("finding", name, now_ms, name, document)

    def incidents(self, incidents: Iterable[Incident], now_ms: int, watermark_ms: int) -> None:
        """Incidents that changed, in the store already, and those whose minute is over."""
        for incident in incidents:
            self._incident(incident, now_ms, watermark_ms)
        # Asked for every frame: most of the time nothing is due, however many wait.
        self._known()
        if watermark_ms < self._due_ms:
            return
        for name in sorted(name for name, ms in self._waiting.items() if ms <= watermark_ms):
            # Not by its name alone: that leads to the one that absorbed it.
            current = self._store.incident(name)
            if current is not None and current.id == name:
                self._incident(current, now_ms, watermark_ms)
            else:
                self._keep(name, None)
        self._due_ms = min(self._waiting.values(), default=_NEVER_MS)

    def _incident(self, incident: Incident, now_ms: int, watermark_ms: int) -> None:
        document = incident_document(incident)
        same = digest(
            canonical({k: v for k, v in document.items() if k not in _COUNTS}).decode(), length=32
        )
        before = self._known().get(incident.id)
        if before is not None and before.same == same and watermark_ms - before.at_ms < COUNTS_MS:
            self._keep(incident.id, msgspec.structs.replace(before, waits=True))
            return
        name = f"{incident.id}@{incident.version}"
        self._store.log.append("incident", name, now_ms, incident.id, document)
        closed = incident.status == "closed"
        mark = _Mark(incident.version, same, watermark_ms, waits=False)
        self._keep(incident.id, None if closed else mark)

    def _keep(self, name: str, mark: _Mark | None) -> None:
        known = self._known()
        if known.get(name) == mark:
            return
        self._waiting.pop(name, None)
        if mark is None:
            del known[name]
            self._store.save_state([(_SPACE, name, b"")])
            return
        known[name] = mark
        if mark.waits:
            self._wait(name, mark)
        self._store.save_state([(_SPACE, name, msgspec.msgpack.encode(mark))])

    def _wait(self, name: str, mark: _Mark) -> None:
        self._waiting[name] = mark.at_ms + COUNTS_MS
        self._due_ms = min(self._due_ms, self._waiting[name])

    def _known(self) -> dict[str, _Mark]:
        if self._marks is None:
            decode = msgspec.msgpack.Decoder(_Mark).decode
            self._marks = {key: decode(value) for key, value in self._store.load_state(_SPACE)}
            for name, mark in self._marks.items():
                if mark.waits:
                    self._wait(name, mark)
        return self._marks


def enter_configuration(
    store: EmbeddedStore, settings: Settings, at_ms: int, *, starts: bool
) -> None:
    """Enter what decides from now on: at each start, else only if it differs from the last."""
    document = configuration_document(settings)
    if not starts:
        for last in [*store.log.payloads("configuration", CONFIGURATION)][-1:]:
            if msgspec.json.decode(last)["digest"] == document["digest"]:
                return
    name = "cfg-" + digest(document["digest"], at_ms)
    store.log.append("configuration", name, at_ms, CONFIGURATION, document)


def configuration_document(settings: Settings) -> dict[str, Any]:
    """The effective configuration, digests of the files it reads, and the versions that judge.

    No secret is a setting: a setting names a variable or a file. Only files of `intake` have a
    digest here; one of a short password would give it away.
    """
    # Here, not above: a command that only reads needs no detector.
    from detectors.engine import discover  # noqa: PLC0415

    document: dict[str, Any] = {
        "effective": _shown(settings.model_dump(mode="json")),
        "files": dict(_files(settings)),
        "rules": {detector.id: detector.version for detector in discover()},
        "software": version("breachline"),
    }
    return {"digest": digest(canonical(document).decode(), length=64), **document}


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    for place, path in named_files(settings):
        if place[0] != "intake":
            continue
        try:
            with path.open("rb") as file:
                yield ".".join(map(str, place)), file_digest(file, "sha256").hexdigest()
        except OSError as error:
            yield ".".join(map(str, place)), f"unreadable: {error.strerror}"


def _shown(value: Any, name: str = "") -> Any:
    """The same without what may be a secret after all: the path of a webhook is its password."""
    if isinstance(value, dict):
        return {key: _shown(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item, name) for item in value]
    if not isinstance(value, str):
        return value
    if name == "webhook":
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc}"
    return mask(value)
