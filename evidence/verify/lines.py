"""The raw lines of a bundle: each at its place, with the digest that was captured.

The rows of lines.ndjson come in, then what the log says was captured; problems go out.
"""

import base64
import hashlib
import zipfile

import msgspec

from evidence.verify.contents import Captured, line_problem
from evidence.verify.package import NEW, Manifest, rows
from evidence.verify.report import Report

_REDACTED = "redacted"


class Line(msgspec.Struct, frozen=True):
    """What is kept of a row, so that no line itself is in memory."""

    sha256: str
    masked: bool
    kept_sha256: str
    """Of the line in the bundle; "" where it was redacted."""


class _Row(msgspec.Struct, frozen=True):
    event: str
    source: str
    offset: int
    sha256: str
    masked: bool
    encoding: str
    line: str


class Lines:
    """The lines of one bundle."""

    def __init__(self, bundle: zipfile.ZipFile, manifest: Manifest, report: Report) -> None:
        self._bundle = bundle
        self._manifest = manifest
        self._report = report
        self._lines: dict[str, Line] = {}

    def read(self) -> None:
        """Every row against itself; MUST come before `check`."""
        redacted = 0
        for where, _, row in rows(self._bundle, "lines.ndjson", _Row, self._manifest, self._report):
            if row.event in self._lines:
                self._report.add("inserted", f"{where}: {row.event} is there twice")
            data = _data(row)
            kept = hashlib.sha256(data).hexdigest() if data is not None else ""
            self._lines[row.event] = Line(row.sha256, row.masked, kept)
            source, _, offset = row.event.rpartition("-")
            if (row.source, f"{row.offset:x}") != (source, offset):
                says = f"{where}: {row.event} is not at {row.source}, {row.offset}"
                self._report.add("moved", says)
            if row.encoding == _REDACTED and not row.line:
                redacted += 1
            elif data is None:
                self._report.add("unreadable", f"{where} is unreadable: it is no {row.encoding}")
            elif not row.masked and kept != row.sha256:
                says = f"{where}: the line of {row.event} has not the SHA-256 beside it"
                self._report.add("altered", says)
        said = self._manifest.redactions.get("lines", 0)
        if redacted != said:
            says = f"lines.ndjson: {redacted} lines are without content, the manifest says {said}"
            self._report.add("missing", says)

    def check(
        self, captured: Captured, where: str, index: int | None = None, entry: str = ""
    ) -> None:
        """One reference to a line, of the entry that is named."""
        line = self._lines.get(captured.event)
        new = self._manifest.format == NEW
        if line is None:
            if new and captured.event not in self._manifest.left_out.lines_not_kept:
                says = f"{where}: the line of {captured.event} is missing"
                self._report.add("missing", says, index, entry)
        elif line.sha256 != captured.sha256:
            says = f"{where}: {captured.event} was captured with another SHA-256"
            self._report.add("altered", says, index, entry)
        elif new and (why := line_problem(captured, line.sha256, line.masked, line.kept_sha256)):
            says = f"{where}: the line of {captured.event} was altered: {why}"
            self._report.add("altered", says, index, entry)


def _data(row: _Row) -> bytes | None:
    if row.encoding == "text":
        return row.line.encode()
    try:
        return base64.b64decode(row.line, validate=True) if row.encoding == "base64" else None
    except ValueError:
        return None
