"""An incident as one zip that proves itself: documents, raw lines, entries of the log with proofs.

Documents that other rooms have made come in beside the store; the zip goes out, the same bytes
for the same contents. `evidence.verify` needs nothing but the zip and the public key, and shares
no code with this. Nothing may be left out unsaid: the manifest counts what is missing, masked or
redacted, and is signed.
"""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from evidence._database import chunks
from evidence._redact import Masks
from evidence.checkpoint import Checkpoint, VerifierKey, note, parse
from evidence.entry import Entry, canonical
from evidence.people import id_lines
from evidence.signing import Signer
from evidence.store import EmbeddedStore
from records.event import RawLine
from records.ids import event_place, iso
from records.incident import Action, Incident

MANIFEST = "manifest.json"
SIGNATURE = "manifest.note"
FORMAT = "breachline-bundle/2"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_PUBLISHED = 16
"""How many published heads a bundle is tied to: the newest."""
_BARE = frozenset({"captured"})
"""Kinds whose payload says nothing of a person: a redacted export keeps it, because it ties the
digests of lines to the log."""

Document = Mapping[str, Any]


class _Line(msgspec.Struct, frozen=True):
    """One line of lines.ndjson: `line` is text where it is UTF-8, else base64."""

    event: str
    source: str
    offset: int
    sha256: str
    """Of the bytes as logged; only an unmasked line can be held against it."""
    masked: bool
    encoding: str
    """text, base64, or redacted."""
    line: str


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
    keys: Sequence[VerifierKey] = (),
    signers: Sequence[Signer] = (),
    published: Iterable[str] = (),
    beyond_limits: int = 0,
    redact: bool = False,
) -> dict[str, Any]:
    """Write the bundle of an incident to `out`, whole or not at all; its manifest.

    incident, findings, affected (each with `user`), objects (each with `object`): the documents as
    people are shown them. Actions, receipts, approvals, entries and raw lines are the store's: the
    lines of its findings, of what was captured, and of `events`.

    keys: the public keys of the log. signers: sign the manifest, and the log where no head is over
    all of it. published: notes of heads that stand elsewhere, which the log is shown to extend.
    beyond_limits: how many lines its capture left out for want of room.
    redact: without raw lines, ids of affected people, and what entries say.

    Raises:
        LookupError: the store has no such incident.
        ValueError: no head is over the log, and no signer was given.
        OSError: `out` cannot be written.
    """
    record = store.incident(incident_id)
    if record is None:
        raise LookupError(f"exporting {incident_id}: no such incident: `breachline incidents`")
    case = _Case(store, record, events)
    head = _head(store, signers)
    entries = [entry for entry in case.entries() if entry.seq <= head.size]
    objects = list(objects)
    findings = list(findings)
    entered = {entry.entry_id for entry in entries if entry.kind == "finding"}
    left_out: dict[str, Any] = {
        "lines_not_kept": case.lines_not_kept,
        "lines_masked": case.lines_masked,
        "lines_beyond_limits": beyond_limits,
        "entries_unsigned": store.ledger.size - head.size,
        "findings_without_entry": sorted({*record.findings}.difference(entered)),
    }
    documents: dict[str, Sequence[Any]] = {
        "incident.json": [incident],
        "findings.ndjson": findings,
        "affected.ndjson": affected,
        "objects.ndjson": objects,
        "actions.ndjson": case.actions,
        "receipts.ndjson": [r for a in case.actions for r in store.log.receipts(a.id)],
        "approvals.ndjson": [r for a in case.actions for r in store.log.approvals(a.id)],
        "captured.ndjson": case.captured,
    }
    users = [str(one["user"]) for one in affected]
    redactions = {}
    if redact:
        masks = Masks(users, (str(one["object"]) for one in objects if "object" in one))
        documents = {
            name: [masks.document(msgspec.to_builtins(one)) for one in found]
            for name, found in documents.items()
        }
        redactions = {
            "people": len(set(users)),
            "lines": len(case.lines),
            "entries": sum(e.payload is not None and e.kind not in _BARE for e in entries),
        }
        users = [masks.text(user) for user in users]
    members: dict[str, Iterable[bytes]] = {
        name: _ndjson(found) if name.endswith(".ndjson") else map(canonical, found)
        for name, found in documents.items()
    }
    members["affected.txt"] = (f"{line}\n".encode() for line in id_lines(users))
    members["lines.ndjson"] = _ndjson(
        _line(line, redact=redact) for line in store.lines(case.lines)
    )
    members["entries.ndjson"] = _ndjson(_entries(store, entries, head.size, redact=redact))
    members["published.ndjson"] = _ndjson(_published(store, head, published))
    members["checkpoint"] = [head.note.encode()]
    members["keys"] = (f"{key.format()}\n".encode() for key in _used(keys, signers, head.note))
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "created": iso(now_ms),
        "incident": record.id,
        "version": record.version,
        "log": {"origin": head.origin, "size": head.size},
        "entries": len(entries),
        "signed_by": [signer.key.format() for signer in signers],
        "left_out": left_out,
        "redactions": redactions,
    }
    _write_all(out, members, manifest, signers)
    return manifest


class _Head(msgspec.Struct, frozen=True):
    origin: str
    size: int
    note: str


def _head(store: EmbeddedStore, signers: Sequence[Signer]) -> _Head:
    """The newest head, or one made for this where that is not over the whole log.

    Where nobody can sign, what came after the newest head is left out.
    """
    newest, size = store.ledger.head(), store.ledger.size
    origin = parse(newest.note)[0].origin if newest else ""
    if newest is not None and (newest.size == size or not signers):
        return _Head(origin, newest.size, newest.note)
    if not signers:
        raise ValueError(
            f"exporting from {store.path}: nobody has signed its log, and no key is here to sign "
            "it with: export where it was written"
        )
    root = store.ledger.tree.root(size)
    # Under the live log's own name, a head of another store would prove that log forked.
    origin = origin or f"{signers[0].name}/export/{root.hex()[:20]}"
    return _Head(origin, size, note(Checkpoint(origin, size, root), signers))


class _Case:
    """What the store has of one incident."""

    def __init__(self, store: EmbeddedStore, record: Incident, events: Iterable[str]) -> None:
        self._store = store
        ids = (record.id, *record.merged)
        self.actions: list[Action] = [a for a in store.log.actions() if a.incident in ids]
        self.captured = [entry for name in ids for entry in store.log.captured(name)]
        wanted = {*events, *(entry.event for entry in self.captured)}
        for finding in store.findings(record.findings):
            wanted.update(finding.evidence)
        self.lines = sorted(store.digests(wanted))
        self.lines_not_kept = sorted(wanted.difference(self.lines))
        self.lines_masked = sum(line.masked for line in store.lines(self.lines))
        self._subjects = {*ids, *record.findings, *(action.id for action in self.actions)}

    def entries(self) -> list[Entry]:
        """Every entry that is filed under the incident, its findings or its actions, in order."""
        found: set[int] = set()
        for marks, part in chunks(sorted(self._subjects)):
            sql = f"SELECT seq FROM body WHERE subject IN ({marks})"  # noqa: S608
            found.update(seq for (seq,) in self._store.rows("reading the log", sql, part))
        return [self._entry(seq) for seq in sorted(found)]

    def _entry(self, seq: int) -> Entry:
        sql = (
            "SELECT seq, entry_id, log.kind, at_ms, commitment, salt, payload "
            "FROM log JOIN body USING (seq) WHERE seq = ?"
        )
        (row,) = self._store.rows("reading the log", sql, (seq,))
        return Entry(*row)


def _entries(
    store: EmbeddedStore, entries: Iterable[Entry], size: int, *, redact: bool
) -> Iterator[dict[str, Any]]:
    """Each with the hashes that lead from its leaf to the head, the leaf's sibling first."""
    tree = store.ledger.tree
    for entry in entries:
        shown = entry.kind in _BARE or not redact
        yield {
            "index": entry.seq - 1,
            "id": entry.entry_id,
            "kind": entry.kind,
            "at": entry.at_ms,
            "salt": entry.salt.hex() if entry.salt and shown else "",
            "payload": entry.payload.decode() if entry.payload and shown else "",
            "leaf": entry.leaf.decode(),
            "proof": [_base64(one) for one in tree.inclusion(entry.seq - 1, size)],
        }


def _published(store: EmbeddedStore, head: _Head, notes: Iterable[str]) -> list[dict[str, Any]]:
    """The newest published heads of this log, with what shows that it only grew since."""
    sizes = {}
    for text in notes:
        old = parse(text)[0]
        if old.origin == head.origin and 0 < old.size <= head.size:
            sizes[old.size] = text
    tree = store.ledger.tree
    return [
        {"note": sizes[n], "proof": [_base64(one) for one in tree.consistency(n, head.size)]}
        for n in sorted(islice(sorted(sizes, reverse=True), _PUBLISHED))
    ]


def _used(
    keys: Sequence[VerifierKey], signers: Sequence[Signer], head: str
) -> Iterator[VerifierKey]:
    """The public keys of those who signed."""
    ids = {signature.key_id for signature in parse(head)[1]} | {one.key_id for one in signers}
    known = dict.fromkeys([*keys, *(signer.key for signer in signers)])
    yield from (key for key in known if key.key_id in ids)


def _line(line: RawLine, *, redact: bool) -> _Line:
    source, offset = event_place(line.event)
    try:
        encoding, text = "text", line.data.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", _base64(line.data)
    if redact:
        encoding, text = "redacted", ""
    return _Line(line.event, source, offset, line.sha256, line.masked, encoding, text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ndjson(documents: Iterable[Any]) -> Iterator[bytes]:
    for document in documents:
        yield canonical(dict(document) if isinstance(document, Mapping) else document) + b"\n"


# The zip


def _write_all(
    out: Path,
    members: Mapping[str, Iterable[bytes]],
    manifest: dict[str, Any],
    signers: Sequence[Signer],
) -> None:
    temporary = out.with_name(out.name + ".tmp")
    try:
        with temporary.open("w+b") as file:
            temporary.chmod(0o600)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
                files = {name: _write(bundle, name, parts) for name, parts in members.items()}
                manifest["files"] = files
                whole = canonical(manifest)
                _write(bundle, MANIFEST, [whole])
                if signers:
                    text = _to_sign(whole, file)
                    _write(bundle, SIGNATURE, [_signed(text, signers)], zipfile.ZIP_STORED)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(out)
    finally:
        temporary.unlink(missing_ok=True)


def _to_sign(manifest: bytes, file: BufferedRandom) -> str:
    """What binds the manifest, and the zip so far to the last bit.

    Compressed bytes have more than one spelling: the digests in the manifest do not see that.
    """
    file.seek(0)
    package = hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256(manifest).hexdigest()
    return f"{FORMAT}\nmanifest sha256 {digest}\npackage sha256 {package}\n"


def _signed(text: str, signers: Sequence[Signer]) -> bytes:
    """As a note; its second line is none of a checkpoint, so that it never reads as one."""
    lines = [f"— {s.name} {_base64(s.key_id + s.sign(text.encode()))}\n" for s in signers]
    return f"{text}\n{''.join(lines)}".encode()


def _write(
    bundle: zipfile.ZipFile,
    name: str,
    parts: Iterable[bytes],
    method: int = zipfile.ZIP_DEFLATED,
) -> dict[str, Any]:
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = method
    info.create_system, info.external_attr = 3, 0o600 << 16  # the same on every machine
    digest, size = hashlib.sha256(), 0
    with bundle.open(info, "w", force_zip64=True) as member:
        for part in parts:
            member.write(part)
            digest.update(part)
            size += len(part)
    return {"sha256": digest.hexdigest(), "size": size}
