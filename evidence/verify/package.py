"""The zip of a bundle: packed as an export packs it, and each file as the manifest says.

An open zip comes in; its manifest, and what is wrong with either, go out. A changed bit anywhere
in the file is found, also where it would change nothing that is read.
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, TypeVar

import msgspec

from evidence.verify.report import Report

MANIFEST = "manifest.json"
SIGNATURE = "manifest.note"
OLD = "breachline-bundle/1"
NEW = "breachline-bundle/2"
_PIECE_BYTES = 1 << 20
_MANIFEST_LIMIT_BYTES = 64 << 20
_SPARE_BYTES = 64 << 20
_ZIP64_BYTES = 0xFFFFFFFF
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""What reading a zip raises where its bytes are not those of a zip."""
T = TypeVar("T")


class File(msgspec.Struct, frozen=True):
    """What the manifest says of one file."""

    sha256: str
    size: int


class LeftOut(msgspec.Struct, frozen=True):
    """What the manifest says is not in the bundle."""

    lines_not_kept: list[str] = []
    findings_without_entry: list[str] = []


class LogName(msgspec.Struct, frozen=True):
    """Which log the entries are of, and how long that is."""

    origin: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """What is read of a manifest; a bundle of format 1 has the first two only."""

    format: str
    files: dict[str, File]
    log: LogName = LogName("", 0)
    entries: int = 0
    signed_by: list[str] = []
    left_out: LeftOut = LeftOut()
    redactions: dict[str, int] = {}


def read_manifest(bundle: zipfile.ZipFile, report: Report) -> tuple[Manifest, bytes] | None:
    """The manifest and its bytes, each file held against it; None if it cannot be read."""
    names = bundle.namelist()
    for name in sorted({name for name in names if names.count(name) > 1}):
        report.add("inserted", f"{name} is in the bundle more than once")
    if MANIFEST not in names:
        report.add("missing", f"{MANIFEST} is missing: nothing else can be checked")
        return None
    try:
        with bundle.open(MANIFEST) as file:
            data = file.read(_MANIFEST_LIMIT_BYTES)
        manifest = msgspec.json.decode(data, type=Manifest)
    except DAMAGED as error:
        says = f"{MANIFEST} is unreadable ({error}): nothing else can be checked"
        report.add("unreadable", says)
        return None
    if manifest.format not in {OLD, NEW}:
        says = f"{MANIFEST} has format {manifest.format!r}; this breachline knows {NEW!r}"
        report.add("unreadable", says)
        return None
    for name in sorted({*manifest.files}.difference(names)):
        report.add("missing", f"{name} is missing")
    own = {MANIFEST, SIGNATURE} if manifest.format == NEW else {MANIFEST}
    for name in sorted({*names}.difference(manifest.files, own)):
        report.add("inserted", f"{name} is not in the manifest")
    for name in sorted({*manifest.files}.intersection(names)):
        if problem := _changed(bundle, name, manifest.files[name]):
            report.add("altered", problem)
    return manifest, data


def rows(
    bundle: zipfile.ZipFile, name: str, kind: type[T], manifest: Manifest, report: Report
) -> Iterator[tuple[str, bytes, T]]:
    """(where, bytes, what it says) of each line of a file; nothing of one that is not there."""
    if name not in manifest.files or name not in bundle.namelist():
        return
    if bundle.getinfo(name).file_size > manifest.files[name].size + _SPARE_BYTES:
        return  # it was named already; a zip may unpack to any size
    try:
        with bundle.open(name) as file:
            for number, row in enumerate(file, 1):
                try:
                    found = msgspec.json.decode(row, type=kind)
                except ValueError as error:
                    report.add("unreadable", f"{name}:{number} is unreadable: {error}")
                    continue
                yield f"{name}:{number}", row, found
    except DAMAGED:
        return  # as `_changed` said


def text(bundle: zipfile.ZipFile, name: str, report: Report) -> str:
    """A small file; "" if it is not there, or not readable as text."""
    if name not in bundle.namelist():
        return ""
    try:
        with bundle.open(name) as file:
            return file.read(_PIECE_BYTES).decode()
    except DAMAGED as error:
        report.add("unreadable", f"{name} is unreadable: {error}")
        return ""


def _changed(bundle: zipfile.ZipFile, name: str, expected: File) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with bundle.open(name) as file:
            # No further than the manifest says: a zip may unpack to any size.
            while size <= expected.size and (piece := file.read(_PIECE_BYTES)):
                digest.update(piece)
                size += len(piece)
    except DAMAGED as error:
        return f"{name} is damaged: {error}"
    if size != expected.size:
        return f"{name} was changed: its size is not the manifest's {expected.size}"
    if digest.hexdigest() != expected.sha256:
        return f"{name} was changed: its SHA-256 is not the manifest's"
    return ""


# How it is packed


def check_packing(file: IO[bytes], bundle: zipfile.ZipFile, report: Report) -> bool:
    """Whether the contents may be read; what is around them must be what an export puts there."""
    for info in bundle.infolist():
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or info.flag_bits:
            report.add("altered", f"{info.filename} is not packed as an export packs it")
            return False
    _check_around(file, bundle, report)
    return True


def _method(name: str) -> int:
    """The signature stands as it is: nothing else says that its own bits are right."""
    return zipfile.ZIP_STORED if name == SIGNATURE else zipfile.ZIP_DEFLATED


def _check_around(file: IO[bytes], bundle: zipfile.ZipFile, report: Report) -> None:
    file.seek(0, 2)
    size = file.tell()
    if size >= _ZIP64_BYTES:
        report.unproven.append("it is over 4 GB: how it is packed was not checked")
        return
    place, directory = 0, b""
    for info in bundle.infolist():
        name = info.filename.encode()
        head = (_method(info.filename), 0, 0x21, info.CRC)
        sizes = (info.compress_size, info.file_size)
        expected = struct.pack(
            "<4s5H3L2H", b"PK\3\4", 45, 0, *head, _ZIP64_BYTES, _ZIP64_BYTES, len(name), 20
        )
        expected += name + struct.pack("<2H2Q", 1, 16, *sizes[::-1])
        file.seek(place)
        if info.header_offset != place or file.read(len(expected)) != expected:
            report.add("altered", f"{info.filename} is not packed as an export packs it")
            return
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 45 | 3 << 8, 45, 0, *head, *sizes, len(name), 0, 0, 0, 0, 0o600 << 16),
            place,
        )
        directory += name
        place += len(expected) + sizes[0]
    count = len(bundle.infolist())
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), place, 0)
    file.seek(place)
    if file.read() != directory + end:
        report.add("altered", "its directory is not packed as an export packs it")


def digest_before(file: IO[bytes], place: int) -> str:
    """SHA-256 of a file's bytes before a place, in hexadecimal."""
    digest = hashlib.sha256()
    file.seek(0)
    while place > 0 and (piece := file.read(min(place, _PIECE_BYTES))):
        digest.update(piece)
        place -= len(piece)
    return digest.hexdigest()
