import os
import shutil

import pytest
import zstandard

from tests._followed import append, packed


def test_restart_resumes_at_the_mark(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    append(log, b"!\nc\n")
    reader.restart()
    assert reader.drain() == [b"b!", b"c"]


PACKERS = [
    ("plain", lambda path: None),
    ("gzip", packed),
    ("zstd", lambda path: packed(path, zstandard.compress, ".zst")),
]


@pytest.mark.parametrize("pack", [case[1] for case in PACKERS], ids=[case[0] for case in PACKERS])
@pytest.mark.parametrize("name", ["access.log.1", "access.log-20261122", "access.log.old"])
@pytest.mark.parametrize("created", [True, False])
def test_rotated_during_a_stop(reader, log, pack, name, created):
    append(log, b"a\n")
    assert reader.drain() == [b"a"]
    append(log, b"b\n")
    pack(log.rename(log.with_name(name)))
    if created:
        append(log, b"c\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c"][: 1 + created]
    reader.restart()
    assert reader.drain() == []


@pytest.mark.parametrize("pack", [case[1] for case in PACKERS], ids=[case[0] for case in PACKERS])
def test_rotated_twice_during_a_stop(reader, log, pack):
    for name, line in (
        ("access.log.3", b"old\n"),
        ("access.log.2", b"a\n"),
        ("access.log.1", b"c\n"),
    ):
        append(log, line)
        if line == b"a\n":
            assert reader.drain() == [b"a"]
            append(log, b"b\n")
        os.utime(log, ns=(ord(line[:1]), ord(line[:1])))
        if line == b"old\n":
            os.utime(log, ns=(1, 1))
        pack(log.rename(log.with_name(name)))
    append(log, b"d\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c", b"d"]
    reader.restart()
    assert reader.drain() == []


def test_copied_and_truncated_during_a_stop(reader, log):
    append(log, b"a\n")
    reader.drain()
    append(log, b"b\n")
    shutil.copy(log, log.with_suffix(".log.1"))
    log.write_bytes(b"c\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c"]


def test_a_server_goes_on_writing_to_the_file_rotated_during_a_stop(reader, log):
    append(log, b"a\n")
    reader.drain()
    old = log.rename(log.with_suffix(".log.1"))
    reader.restart()
    assert reader.drain() == []
    append(old, b"b\n")
    assert reader.drain() == [b"b"]


def test_a_first_start_reads_no_rotated_files(reader, log):
    append(log.with_suffix(".log.1"), b"old\n")
    append(log, b"a\n")
    assert reader.drain() == [b"a"]
