"""An incident as one zip that proves itself: documents, raw lines, and a manifest of digests.

Documents that other rooms have made come in beside the store; the zip goes out, the same bytes
for the same contents. `verify` needs nothing but the zip. Nothing may be left out unsaid: the
manifest counts what is missing or masked.
"""

import base64
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evidence.entry import canonical
from evidence.people import id_lines
from evidence.store import EmbeddedStore
from records.event import RawLine
from records.ids import event_place, iso

MANIFEST = "manifest.json"
FORMAT = "breachline-bundle/1"
_LINES = "lines.ndjson"
_CAPTURED = "captured.ndjson"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_PIECE_BYTES = 1 << 20
_MANIFEST_LIMIT_BYTES = 64 << 20

Document = Mapping[str, Any]


class _File(msgspec.Struct, frozen=True):
    sha256: str
    size: int


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    files: dict[str, _File]


class _Line(msgspec.Struct, frozen=True):
    """One line of lines.ndjson: `line` is text where it is UTF-8, else base64."""

    event: str
    source: str
    offset: int
    sha256: str
    """Of the bytes as logged; only an unmasked line can be held against it."""
    masked: bool
    encoding: str
    line: str

    def data(self) -> bytes:
        if self.encoding == "base64":
            return base64.b64decode(self.line, validate=True)
        return self.line.encode()


def export(
    store: EmbeddedStore,
    incident_id: str,
    out: Path,
    now_ms: int,
    *,
    incident: Document,
    findings: Iterable[Document],
    affected: Sequence[Document],
    objects: Iterable[Document] = (),
    events: Iterable[str] = (),
) -> dict[str, Any]:
    """Write the bundle of an incident to `out`, whole or not at all; its manifest.

    incident, findings, affected (each with `user`), objects: the documents as people are shown
    them. Actions, receipts, approvals and raw lines are the store's: the lines of its findings, of
    what was captured, and of `events`.

    Raises:
        LookupError: the store has no such incident.
        OSError: `out` cannot be written.
    """
    record = store.incident(incident_id)
    if record is None:
        raise LookupError(f"exporting {incident_id}: no such incident: `breachline incidents`")
    ids = (record.id, *record.merged)
    actions = [action for action in store.log.actions() if action.incident in ids]
    captured = [entry for name in ids for entry in store.log.captured(name)]
    wanted = {*events, *(entry.event for entry in captured)}
    for finding in store.findings(record.findings):
        wanted.update(finding.evidence)
    left_out: dict[str, Any] = {"lines_not_kept": sorted(wanted), "lines_masked": 0}

    def lines() -> Iterator[_Line]:
        kept = []
        for line in store.lines(wanted):
            kept.append(line.event)
            left_out["lines_masked"] += line.masked
            yield _line(line)
        left_out["lines_not_kept"] = sorted(wanted.difference(kept))

    members: dict[str, Iterable[bytes]] = {
        "incident.json": [canonical(dict(incident))],
        "findings.ndjson": _ndjson(findings),
        "affected.txt": (
            f"{line}\n".encode() for line in id_lines(str(one["user"]) for one in affected)
        ),
        "affected.ndjson": _ndjson(affected),
        "objects.ndjson": _ndjson(objects),
        "actions.ndjson": _ndjson(actions),
        "receipts.ndjson": _ndjson(r for a in actions for r in store.log.receipts(a.id)),
        "approvals.ndjson": _ndjson(r for a in actions for r in store.log.approvals(a.id)),
        _CAPTURED: _ndjson(captured),
        _LINES: _ndjson(lines()),
    }
    temporary = out.with_name(out.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            temporary.chmod(0o600)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
                files = {name: _write(bundle, name, parts) for name, parts in members.items()}
                manifest: dict[str, Any] = {
                    "format": FORMAT,
                    "created": iso(now_ms),
                    "incident": record.id,
                    "version": record.version,
                    "files": files,
                    "left_out": left_out,
                }
                _write(bundle, MANIFEST, [canonical(manifest)])
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(out)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def _line(line: RawLine) -> _Line:
    source, offset = event_place(line.event)
    try:
        encoding, text = "text", line.data.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", base64.b64encode(line.data).decode()
    return _Line(line.event, source, offset, line.sha256, line.masked, encoding, text)


def _ndjson(documents: Iterable[Any]) -> Iterator[bytes]:
    for document in documents:
        yield canonical(dict(document) if isinstance(document, Mapping) else document) + b"\n"


def _write(bundle: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> dict[str, Any]:
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system, info.external_attr = 3, 0o600 << 16  # the same on every machine
    digest, size = hashlib.sha256(), 0
    with bundle.open(info, "w", force_zip64=True) as member:
        for part in parts:
            member.write(part)
            digest.update(part)
            size += len(part)
    return {"sha256": digest.hexdigest(), "size": size}


def verify(path: Path) -> list[str]:
    """What is wrong with a bundle, in sentences; an empty list: nothing is.

    It proves that the parts belong together as exported. Who exported them it does not prove.

    Raises:
        OSError: `path` cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            return list(_problems(bundle))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        return [f"{path.name} is no readable zip: {error}"]


def _problems(bundle: zipfile.ZipFile) -> Iterator[str]:
    names = [info.filename for info in bundle.infolist()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} is in the bundle more than once"
    if MANIFEST not in names:
        yield f"{MANIFEST} is missing: nothing else can be checked"
        return
    try:
        with bundle.open(MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(_MANIFEST_LIMIT_BYTES), type=_Manifest)
    except msgspec.MsgspecError as error:
        yield f"{MANIFEST} is unreadable ({error}): nothing else can be checked"
        return
    if manifest.format != FORMAT:
        yield f"{MANIFEST} has format {manifest.format!r}; this breachline knows {FORMAT!r}"
        return
    for name in sorted({*manifest.files}.difference(names)):
        yield f"{name} is missing"
    for name in sorted({*names}.difference(manifest.files, [MANIFEST])):
        yield f"{name} is not in the manifest"
    intact = []
    for name in sorted({*manifest.files}.intersection(names)):
        problem = _changed(bundle, name, manifest.files[name])
        if problem:
            yield problem
        else:
            intact.append(name)
    if _LINES in intact:
        kept: dict[str, str] = {}
        yield from _line_problems(bundle, kept)
        if _CAPTURED in intact:
            yield from _captured_problems(bundle, kept)


def _changed(bundle: zipfile.ZipFile, name: str, expected: _File) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with bundle.open(name) as file:
            # No further than the manifest says: a zip may unpack to any size.
            while size <= expected.size and (piece := file.read(_PIECE_BYTES)):
                digest.update(piece)
                size += len(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        return f"{name} is damaged: {error}"
    if size != expected.size:
        return f"{name} was changed: its size is not the manifest's {expected.size}"
    if digest.hexdigest() != expected.sha256:
        return f"{name} was changed: its SHA-256 is not the manifest's"
    return ""


def _line_problems(bundle: zipfile.ZipFile, kept: dict[str, str]) -> Iterator[str]:
    with bundle.open(_LINES) as file:
        for number, row in enumerate(file, 1):
            try:
                line = msgspec.json.decode(row, type=_Line)
                data = line.data()
                place = (line.source, line.offset) == event_place(line.event)
            except ValueError as error:
                yield f"{_LINES}:{number} is unreadable: {error}"
                continue
            if line.event in kept:
                yield f"{_LINES}:{number}: {line.event} is there twice"
            kept[line.event] = line.sha256
            if not place:
                yield f"{_LINES}:{number}: {line.event} is not at {line.source}, {line.offset}"
            if not line.masked and hashlib.sha256(data).hexdigest() != line.sha256:
                yield f"{_LINES}:{number}: the line of {line.event} has not the SHA-256 beside it"


def _captured_problems(bundle: zipfile.ZipFile, kept: dict[str, str]) -> Iterator[str]:
    with bundle.open(_CAPTURED) as file:
        for number, row in enumerate(file, 1):
            try:
                entry = msgspec.json.decode(row, type=_Reference)
            except ValueError as error:
                yield f"{_CAPTURED}:{number} is unreadable: {error}"
                continue
            if kept.get(entry.event, entry.sha256) != entry.sha256:
                yield f"{_CAPTURED}:{number}: {entry.event} was captured with another SHA-256"


class _Reference(msgspec.Struct, frozen=True):
    event: str
    sha256: str
