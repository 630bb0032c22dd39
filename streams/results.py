"""Writes what a scan found as files (CONTRACT 1, `scan --out`), from the scan's own store.

In: a store and the desk's impacts. Out: NDJSON and text files in a folder that is replaced whole.
"""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from evidence.people import id_lines
from evidence.signing import PUBLIC_FILE
from evidence.store import EmbeddedStore
from incidents.affected import Impact
from incidents.documents import (
    action_document,
    affected_document,
    finding_document,
    incident_document,
    object_document,
)
from records.finding import Finding
from records.ids import event_place
from records.incident import Incident

SUMMARY = "summary.json"
DATABASE = "breachline.db"
PROPOSED = "people.proposed.csv"
"""Rows for the identities file that a person has to check."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WRITTEN = frozenset(
    {
        "actions.ndjson", "affected", "findings.ndjson", "history", "incidents.ndjson",
        "rejects.ndjson", PROPOSED, SUMMARY, DATABASE, f"{DATABASE}-journal",
    }
)  # fmt: skip
"""Everything that a scan writes into its folder."""


def prepare(out: Path) -> None:
    """Make `out` an empty folder, replacing an earlier scan's result and nothing else.

    Raises:
        ValueError: it holds something that no scan wrote.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"writing to {out}: it is a file; give a folder with --out")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    if other := sorted(_names(out) - _WRITTEN):
        raise ValueError(
            f"writing to {out}: it holds {other[0]}, which no scan wrote; "
            "give another folder with --out"
        )
    discard(out)


def _names(folder: Path) -> set[str]:
    """What is in a folder, but for the public key that a scan puts there: private ones stay."""
    names = {path.name for path in folder.iterdir()}
    keys = folder / "keys"
    if keys.is_dir() and {path.name for path in keys.iterdir()} == {PUBLIC_FILE}:
        names.remove("keys")
    return names


def discard(out: Path) -> None:
    """Empty a folder that `prepare` has accepted: half a result must not be taken for a whole."""
    for path in out.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def unfinished(folder: Path) -> bool:
    """Whether a scan began to write here and was killed: then nothing in it may be believed."""
    names = _names(folder)
    return DATABASE in names and SUMMARY not in names and names <= _WRITTEN


def finding_documents(
    store: EmbeddedStore, findings: Iterable[Finding]
) -> Iterator[dict[str, Any]]:
    """Findings as ECS documents, each line of evidence with its source, offset and SHA-256.

    Of an event that two logs tell of, the lines of both.
    """
    names = {source.id: source.name for source in store.sources()}
    for finding in findings:
        evidence = store.with_halves(finding.evidence)
        digests = store.digests(evidence)
        places = {}
        for event, sha256 in digests.items():
            source, offset = event_place(event)
            places[event] = (names.get(source, source), offset, sha256)
        whole = msgspec.structs.replace(finding, evidence=tuple(evidence))
        yield finding_document(whole, places)


def write_results(
    out: Path,
    store: EmbeddedStore,
    impact_of: Callable[[str], Impact],
    summary: dict[str, object],
    proposed: Sequence[tuple[str, str]] = (),
) -> None:
    """All files of a scan's result; `proposed` are pairs of ids that seem to be one person's."""
    write_ndjson(out / "findings.ndjson", finding_documents(store, store.findings()))
    incidents = list(store.incidents())
    write_ndjson(out / "incidents.ndjson", map(incident_document, incidents))
    write_ndjson(out / "actions.ndjson", map(action_document, store.log.actions()))
    write_ndjson(out / "rejects.ndjson", map(msgspec.to_builtins, store.rejects()))
    folder = out / "affected"
    folder.mkdir(exist_ok=True)
    for incident in incidents:
        write_affected(folder, incident, impact_of(incident.id))
    if proposed:
        write_proposed(out / PROPOSED, proposed)
    (out / SUMMARY).write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))


def write_proposed(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Rows of the identities file; without ids that a spreadsheet would take for a formula."""
    rows = [pair for pair in pairs if not any(value.startswith(_FORMULA) for value in pair)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "user"), *rows])


def write_affected(folder: Path, incident: Incident, impact: Impact) -> None:
    """INCIDENT.txt, INCIDENT.ndjson and INCIDENT.objects.ndjson."""
    text = "".join(f"{line}\n" for line in id_lines(impact.users))
    (folder / f"{incident.id}.txt").write_text(text, encoding="utf-8")
    write_ndjson(folder / f"{incident.id}.ndjson", map(affected_document, impact.rows))
    write_ndjson(folder / f"{incident.id}.objects.ndjson", map(object_document, impact.objects))


def write_ndjson(path: Path, documents: Iterable[object]) -> None:
    """One JSON document a line."""
    with path.open("wb") as file:
        for document in documents:
            file.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
