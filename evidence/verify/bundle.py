"""Checks a bundle, with nothing but the bundle and, where there is one, the public key.

A zip comes in, a report goes out: whether its files are those of the manifest and the manifest is
signed, whether each entry is in the log whose signed head it brings, and whether documents, lines
and entries say the same.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from evidence.verify.contents import Captured, commitment_of, read_leaf
from evidence.verify.lines import Lines
from evidence.verify.notes import Head, Key, Trust, read_head, read_keys, read_note
from evidence.verify.package import (
    DAMAGED,
    NEW,
    OLD,
    SIGNATURE,
    Manifest,
    check_packing,
    digest_before,
    read_manifest,
    rows,
    text,
)
from evidence.verify.published import published_marks
from evidence.verify.report import Report
from evidence.verify.tree import is_extended, is_included, leaf_hash

_BARE = frozenset({"captured"})
"""Kinds whose content stays in a redacted bundle."""
_OF_KIND = {
    "intent": "actions.ndjson",
    "receipt": "receipts.ndjson",
    "approval": "approvals.ndjson",
    "captured": "captured.ndjson",
}
_PROOF_HASHES = 64


class _Entry(msgspec.Struct, frozen=True):
    index: int
    id: str
    kind: str
    at: int
    salt: str
    payload: str
    leaf: str
    proof: list[str]


class _Tied(msgspec.Struct, frozen=True):
    note: str
    proof: list[str]


class _Named(msgspec.Struct, frozen=True):
    id: str


def check_bundle(
    path: Path,
    trusted: Sequence[Key] | None = None,
    published: Iterable[tuple[int, bytes]] | None = None,
) -> Report:
    """Check the bundle in a file.

    trusted: the keys that must have signed; without them the bundle's own, and the report says
    that nobody's identity is proven. published: lines of published heads.

    Raises:
        OSError: it cannot be read.
    """
    report = Report(str(path), "bundle")
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as bundle:
                if not check_packing(file, bundle, report):
                    return report
                found = read_manifest(bundle, report)
                if found is not None:
                    _Check(file, bundle, *found, report).all(trusted, published)
        except DAMAGED as error:
            report.add("unreadable", f"{path.name} is no readable zip: {error}")
    return report


class _Check:
    def __init__(
        self,
        file: IO[bytes],
        bundle: zipfile.ZipFile,
        manifest: Manifest,
        data: bytes,
        report: Report,
    ) -> None:
        self._file = file
        self._bundle = bundle
        self._manifest = manifest
        self._data = data
        self._report = report
        self._keyless = False
        self._redacted = bool(manifest.redactions)
        self._lines = Lines(bundle, manifest, report)
        self._entered: dict[str, set[bytes]] = {name: set() for name in _OF_KIND}
        self._ids: dict[str, set[str]] = {}

    def all(
        self, trusted: Sequence[Key] | None, published: Iterable[tuple[int, bytes]] | None
    ) -> None:
        """Everything that its format has."""
        self._lines.read()
        if self._manifest.format == OLD:
            for where, _, captured in self._rows("captured.ndjson", Captured):
                self._lines.check(captured, where)
            self._report.unproven.append(
                f"a bundle of {OLD} has no proofs: its parts belong together, and nobody signed it"
            )
            return
        trust = self._trust(trusted)
        self._manifest_note(trust, asked=trusted is not None)
        head = self._head(trust)
        if head is not None:
            self._entries(head)
            self._documents()
            self._tied(head, trust, published)
        self._report.signed_by = [str(key) for key in trust.signers]
        for key, what in trust.strangers().items():
            says = f"{what} is signed by {key}, and that is not the key that was given"
            self._report.add("unknown key", says)

    def _rows(self, name: str, kind: type[Any]) -> Any:
        return rows(self._bundle, name, kind, self._manifest, self._report)

    # Signatures

    def _trust(self, trusted: Sequence[Key] | None) -> Trust:
        try:
            own = read_keys(text(self._bundle, "keys", self._report))
        except ValueError as error:
            self._report.add("unreadable", f"keys: {error}")
            own = []
        if trusted is None and own:
            self._report.unproven.append(
                "who signed it: the key is the bundle's own. Compare it with one from elsewhere, "
                f"or give that with --key: {', '.join(map(str, own))}"
            )
        elif trusted is None:
            self._keyless = True
            self._report.unproven.append(
                "who signed it, and whether it is signed at all: no key is in it, give one (--key)"
            )
        return Trust(own if trusted is None else trusted, own)

    def _manifest_note(self, trust: Trust, *, asked: bool) -> None:
        found = text(self._bundle, SIGNATURE, self._report)
        if not found:
            says = "nobody has signed the manifest: only what entries hold is proven"
            if asked or self._manifest.signed_by:
                self._report.add("missing", f"{SIGNATURE} is missing: {says}")
            else:
                self._report.unproven.append(says)
            return
        place = self._bundle.getinfo(SIGNATURE).header_offset
        whole = digest_before(self._file, place)
        manifest = f"{NEW}\nmanifest sha256 {hashlib.sha256(self._data).hexdigest()}\n"
        try:
            note = read_note(found)
            signers = trust.check(note, "the manifest")
        except (LookupError, ValueError) as error:
            self._refuse(error)
            return
        if not note.text.startswith(manifest):
            self._report.add("altered", "the manifest is not the one that was signed")
        elif note.text != f"{manifest}package sha256 {whole}\n":
            self._report.add("altered", "the file is not packed as it was when it was signed")
        elif sorted(map(str, signers)) != sorted(self._manifest.signed_by):
            self._report.add("altered", "the manifest is not signed by those that it names")

    def _head(self, trust: Trust) -> Head | None:
        try:
            note = read_note(text(self._bundle, "checkpoint", self._report))
            head = read_head(note.text)
            signers = [] if self._keyless else trust.check(note, "the head")
        except (LookupError, ValueError) as error:
            self._refuse(error)
            return None
        self._report.heads = 1
        log = self._manifest.log
        if (head.origin, head.size) != (log.origin, log.size):
            says = f"the head is of {head.origin} at {head.size}, the manifest of {log.origin} at"
            self._report.add("forged head", f"{says} {log.size}")
        if not all(key.covers(head.origin) for key in signers):
            self._report.add("forged head", f"the head is of {head.origin}, and not its key's")
        return head

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, LookupError):
            self._report.add("unknown key", f"{error.args[0]}, which is not known here")
        else:
            self._report.add("forged head", f"checkpoint or signature: {error}")

    # Entries

    def _entries(self, head: Head) -> None:
        last, bare = -1, 0
        misfits: list[tuple[_Entry, bytes, list[bytes]]] = []
        for where, _, entry in self._rows("entries.ndjson", _Entry):
            self._report.entries += 1
            if entry.index <= last:
                self._entry("moved", entry, f"it stands behind entry {last} in {where}")
            last = entry.index
            hashed = leaf_hash(entry.leaf.encode())
            proof = _hashes(entry.proof)
            if not is_included(entry.index, hashed, head.size, proof, head.root):
                misfits.append((entry, hashed, proof))
            elif why := _content_problem(entry):
                self._entry("altered", entry, why)
            elif not entry.salt:
                bare += 1
            self._note_content(entry, where)
        self._name_misfits(misfits, head)
        if self._report.entries != self._manifest.entries:
            says = f"{self._report.entries} entries are there, and {self._manifest.entries} were"
            fewer = self._report.entries < self._manifest.entries
            self._report.add("missing" if fewer else "inserted", f"{says} exported")
        if bare != self._manifest.redactions.get("entries", 0):
            says = f"{bare} entries are without content, and the manifest says"
            self._report.add("missing", f"{says} {self._manifest.redactions.get('entries', 0)}")

    def _entry(self, what: Any, entry: _Entry, why: str) -> None:
        says = f"entry {entry.index} ({entry.id}) was {what}: {why}"
        self._report.add(what, says, entry.index, entry.id)

    def _name_misfits(self, misfits: list[tuple[_Entry, bytes, list[bytes]]], head: Head) -> None:
        places = [entry.index for entry, _, _ in misfits[:1000]]
        for entry, hashed, proof in misfits:
            fits = (p for p in places if is_included(p, hashed, head.size, proof, head.root))
            if (place := next(fits, None)) is not None:
                self._entry("moved", entry, f"it is entry {place} of the log")
            elif _content_problem(entry):
                self._entry("altered", entry, "neither its leaf nor its content is in the log")
            else:
                self._entry("inserted", entry, "the log does not have it at its place")

    def _note_content(self, entry: _Entry, where: str) -> None:
        self._ids.setdefault(entry.kind, set()).add(entry.id)
        if entry.kind in self._entered and entry.payload:
            self._entered[entry.kind].add(entry.payload.encode())
        if entry.kind == "captured" and entry.payload:
            try:
                captured = msgspec.json.decode(entry.payload, type=Captured)
            except msgspec.MsgspecError:
                self._entry("altered", entry, "it is no reference to a line")
                return
            self._lines.check(captured, where, entry.index, entry.id)

    def _documents(self) -> None:
        """Each document has its entry, and each entry its document."""
        for kind, name in _OF_KIND.items():
            entered = self._entered[kind]
            if self._redacted and kind not in _BARE:
                if kind == "intent":
                    self._same_ids(name, self._ids.get(kind, set()))
                continue
            seen = set()
            for where, row, _ in self._rows(name, dict):
                seen.add(row.rstrip(b"\n"))
                if row.rstrip(b"\n") not in entered:
                    self._report.add("altered", f"{where}: no entry of the log says this")
            for _ in entered - seen:
                self._report.add("missing", f"{name}: an entry of the log is not in it")
        without = {*self._manifest.left_out.findings_without_entry}
        known = self._ids.get("finding", set())
        for where, _, finding in self._rows("findings.ndjson", dict):
            name = str(finding.get("id", _ecs_id(finding)))
            if name not in without and name not in known:
                self._report.add("missing", f"{where}: no entry of the log is of finding {name}")

    def _same_ids(self, name: str, entered: set[str]) -> None:
        shown = {named.id for _, _, named in self._rows(name, _Named)}
        for one in sorted(shown ^ entered):
            self._report.add("missing", f"{name} and the entries differ in {one}", entry=one)

    # Other heads

    def _tied(
        self, head: Head, trust: Trust, published: Iterable[tuple[int, bytes]] | None
    ) -> None:
        tied = {head.size: head.root}
        for where, _, one in self._rows("published.ndjson", _Tied):
            try:
                note = read_note(one.note)
                old = read_head(note.text)
                if not self._keyless:
                    trust.check(note, f"the published head in {where}")
            except (LookupError, ValueError) as error:
                self._refuse(error)
                continue
            proof = _hashes(one.proof)
            fits = is_extended(old.size, old.root, head.size, head.root, proof)
            if old.origin != head.origin or not fits:
                says = f"{where}: the log does not begin with what this head is over"
                self._report.add("rewritten", says)
            tied[old.size] = old.root
        if published is None:
            return
        marks = published_marks(published, head.origin, trust, self._report)
        self._report.published = len(marks)
        for mark in marks:
            if tied.get(mark.size, mark.root) != mark.root:
                says = f"{mark.says} is over others than this bundle's head"
                self._report.add("rewritten", says)
        if not any(mark.size in tied for mark in marks):
            self._report.unproven.append(
                "that it is of the log whose heads are published: the bundle is tied to none of "
                "them; export it again, or check the store"
            )


def _content_problem(entry: _Entry) -> str:
    leaf = read_leaf(entry.leaf.encode())
    if leaf is None:
        return "its leaf is none"
    if (leaf.kind.decode(), leaf.at_ms) != (entry.kind, entry.at):
        return "its kind or time is not that of its leaf"
    if not entry.salt and not entry.payload:
        return ""
    try:
        salt = bytes.fromhex(entry.salt)
    except ValueError:
        salt = b""
    content = commitment_of(salt, entry.id.encode(), entry.payload.encode())
    if salt.hex() != entry.salt or content != leaf.commitment:
        return "its content is not what its leaf commits to"
    return ""


def _hashes(proof: Sequence[str]) -> list[bytes]:
    """Of base64 that is none: a hash that fits nowhere."""
    found = []
    for one in proof[: _PROOF_HASHES + 1]:
        try:
            data = base64.b64decode(one, validate=True)
        except ValueError:
            data = b""
        found.append(data if base64.b64encode(data).decode() == one else b"")
    return found


def _ecs_id(finding: dict[str, Any]) -> object:
    event = finding.get("event")
    return event.get("id", "") if isinstance(event, dict) else ""
