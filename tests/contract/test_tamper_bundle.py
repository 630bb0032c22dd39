"""Whoever changes a bundle is found, and where it is an entry, it is named."""

import json
import random

import pytest

from evidence.verify.bundle import check_bundle
from tests._ledger import (
    covered,
    key,
    pack,
    unpack,
)


def test_nothing_is_found_where_nothing_was_done(original):
    assert check_bundle(original / "case.zip", [key()]).problems == []


def test_a_flipped_bit_anywhere_in_a_bundle_is_found(original, tmp_path):
    data = (original / "case.zip").read_bytes()
    path = tmp_path / "case.zip"
    for place in range(random.Random(3).randrange(41), 8 * len(data), 41):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        assert not check_bundle(path, [key()]).intact, place


MEMBERS = [
    "incident.json", "findings.ndjson", "affected.ndjson", "affected.txt", "objects.ndjson",
    "actions.ndjson", "receipts.ndjson", "approvals.ndjson", "captured.ndjson", "lines.ndjson",
    "entries.ndjson", "published.ndjson", "checkpoint", "keys", "manifest.json", "manifest.note",
]  # fmt: skip


@pytest.mark.parametrize("member", MEMBERS)
def test_a_flipped_bit_in_any_part_of_a_bundle_is_found(original, tmp_path, member):
    """Also where the forger writes the new digest into the manifest."""
    files = unpack(original / "case.zip")
    assert sorted(files) == sorted(MEMBERS)
    path = tmp_path / "case.zip"
    rng = random.Random(member)
    for place in rng.sample(range(8 * len(files[member])), min(60, 8 * len(files[member]))):
        changed = bytearray(files[member])
        changed[place // 8] ^= 1 << place % 8
        plain = {**files, member: bytes(changed)}
        pack(path, plain)
        assert not check_bundle(path, [key()]).intact, place
        if not member.startswith("manifest."):
            forged = dict(files)
            covered(forged, member, bytes(changed))
            pack(path, forged)
            assert not check_bundle(path, [key()]).intact, place


def test_a_flipped_bit_of_a_bundles_entry_names_the_entry(original, tmp_path):
    files = unpack(original / "case.zip")
    rows = files["entries.ndjson"].splitlines(keepends=True)
    path = tmp_path / "case.zip"
    for number, row in enumerate(rows):
        entry = json.loads(row)
        for field in ("salt", "leaf", "proof"):
            value = entry[field]
            text = value[0] if field == "proof" else value
            place = len(text) // 2
            other = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
            changed = {**entry, field: [other, *value[1:]] if field == "proof" else other}
            forged = dict(files)
            new = json.dumps(changed, ensure_ascii=False).encode() + b"\n"
            covered(forged, "entries.ndjson", b"".join([*rows[:number], new, *rows[number + 1 :]]))
            pack(path, forged)
            problems = check_bundle(path, [key()]).problems
            assert (problems[0].index, problems[0].id) == (entry["index"], entry["id"])


def rows_of(files):
    return files["entries.ndjson"].splitlines(keepends=True)


BUNDLES = [
    ("an entry is missing", lambda r: [*r[:2], *r[3:]], "missing"),
    ("the last is missing", lambda r: r[:-1], "missing"),
    ("one is there twice", lambda r: [*r[:2], *r[1:]], "inserted"),
    ("two are swapped", lambda r: [r[1], r[0], *r[2:]], "moved"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "what"), BUNDLES, ids=[c[0] for c in BUNDLES])
def test_a_bundle_with_other_entries_is_found(original, tmp_path, name, change, what):
    files = unpack(original / "case.zip")
    covered(files, "entries.ndjson", b"".join(change(rows_of(files))))
    pack(tmp_path / "case.zip", files)
    report = check_bundle(tmp_path / "case.zip", [key()])
    assert what in {problem.what for problem in report.problems}
    assert "the manifest is not the one that was signed" in {p.says for p in report.problems}


def test_entries_of_a_bundle_that_have_changed_places_are_named(original, tmp_path):
    files = unpack(original / "case.zip")
    rows = [json.loads(row) for row in rows_of(files)]
    rows[3]["index"], rows[4]["index"] = rows[4]["index"], rows[3]["index"]
    rows[3], rows[4] = rows[4], rows[3]
    covered(files, "entries.ndjson", b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    pack(tmp_path / "case.zip", files)
    moved = [p for p in check_bundle(tmp_path / "case.zip", [key()]).problems if p.what == "moved"]
    assert [(p.index, p.id) for p in moved] == [
        (rows[3]["index"], rows[3]["id"]),
        (rows[4]["index"], rows[4]["id"]),
    ]


def test_every_part_of_a_bundle_taken_away_is_found(original, tmp_path):
    for member in MEMBERS:
        files = unpack(original / "case.zip")
        del files[member]
        pack(tmp_path / "case.zip", files)
        assert not check_bundle(tmp_path / "case.zip", [key()]).intact, member


def test_every_cut_of_a_bundle_is_found(original, tmp_path):
    data = (original / "case.zip").read_bytes()
    for size in [*range(0, len(data), 97), len(data) - 1]:
        (tmp_path / "case.zip").write_bytes(data[:size])
        assert not check_bundle(tmp_path / "case.zip", [key()]).intact, size
