import gzip
import os

import pytest
import zstandard

from streams.book import fingerprint
from streams.rotated import Rotated, inode_key, names_beside, recognise, rotated_files
from streams.sources import SourceBook

LOG = b"first\nsecond\n"


def put(path, data, time_ns=1):
    path.write_bytes(data)
    os.utime(path, ns=(time_ns, time_ns))
    return path


def nothing_read(_source):
    return 0


NAMES = [
    # name, whether it lies beside access.log, whether it is one that rotation gives
    ("access.log", False, False),
    ("access.log.1", True, True),
    ("access.log.12.gz", True, True),
    ("access.log-20261122", True, True),
    ("access.log-20261122.zst", True, True),
    ("access.log.2026-11-22T10:00:00.gz", True, True),
    ("access.log_2026", True, True),
    ("access.log.old", True, False),
    ("access.log.1.bak", True, False),
    ("access.log2", False, False),
    ("error.log.1", False, False),
]


@pytest.mark.parametrize(("name", "beside", "numbered"), NAMES)
def test_names(tmp_path, name, beside, numbered):
    put(tmp_path / name, LOG)
    found = rotated_files(str(tmp_path / "access.log"), SourceBook(), nothing_read)
    assert [(file.path, file.numbered) for file in found] == (
        [(str(tmp_path / name), numbered)] if beside else []
    )


def test_the_oldest_comes_first_and_what_cannot_be_read_is_left_out(tmp_path):
    for name, time_ns in (("log.1", 30), ("log.2", 20), ("log.3", 10), ("log-4", 40)):
        put(tmp_path / name, LOG, time_ns)
    (tmp_path / "log.5").mkdir()
    (tmp_path / "log.6").symlink_to("nowhere")
    os.mkfifo(tmp_path / "log.7")
    found = rotated_files(str(tmp_path / "log"), SourceBook(), nothing_read)
    assert [file.path.removeprefix(str(tmp_path)) for file in found] == [
        "/log.3", "/log.2", "/log.1", "/log-4",
    ]  # fmt: skip


def test_a_file_being_packed_is_its_plain_twin(tmp_path):
    put(tmp_path / "log.1", LOG, 1)
    put(tmp_path / "log.1.gz", gzip.compress(LOG)[:5], 2)
    put(tmp_path / "log.gz", gzip.compress(LOG), 3)
    put(tmp_path / "log", LOG, 4)
    found = rotated_files(str(tmp_path / "log"), SourceBook(), nothing_read)
    assert [file.path for file in found] == [str(tmp_path / "log.1"), str(tmp_path / "log.gz")]


def test_beside_a_link_and_beside_its_target(tmp_path):
    target = tmp_path / "pods" / "0.log"
    target.parent.mkdir()
    put(target, LOG)
    put(target.with_name("0.log.20261122-100000"), LOG, 1)
    link = tmp_path / "web.log"
    link.symlink_to(target)
    put(tmp_path / "web.log.1", LOG, 2)
    found = rotated_files(str(link), SourceBook(), nothing_read)
    assert [(file.path, file.numbered) for file in found] == [
        (f"{target}.20261122-100000", True),
        (f"{link}.1", True),
    ]


RECOGNISED = [
    # name, contents, how much of the source was read, its mark as found, whether there is a rest
    ("read to its end", LOG, 13, 13, False),
    ("half read", LOG, 6, 6, True),
    ("known, never read", LOG, 0, 0, True),
    ("shorter than what was read", LOG[:6], 13, None, True),
    ("never met", b"other\n", 13, None, True),
    ("gzip read to its end", gzip.compress(LOG), 13, 13, False),
    ("gzip half read", gzip.compress(LOG), 6, 6, True),
    ("gzip of 4 GiB and more", gzip.compress(LOG), 13 + (1 << 32), 13 + (1 << 32), False),
    ("zstd read to its end", zstandard.compress(LOG), 13, 13, False),
    ("zstd half read", zstandard.compress(LOG), 6, 6, True),
    (
        "zstd of a stream, which does not say its size",
        zstandard.ZstdCompressor(write_content_size=False).compress(LOG),
        13,
        13,
        True,
    ),
    ("a hole first", bytes(20) + LOG, 33, 33, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "read", "mark", "rest"),
    [case[1:] for case in RECOGNISED],
    ids=[case[0] for case in RECOGNISED],
)
def test_recognise(tmp_path, data, read, mark, rest):
    book = SourceBook()
    source = book.identify(LOG)
    path = put(tmp_path / "log.1", data)
    assert recognise(str(path), book, {source: read}.__getitem__) == Rotated(
        path=str(path),
        key=inode_key(path.stat()),
        source=None if mark is None else source,
        mark=mark or 0,
        has_rest=rest,
        numbered=False,
    )
    # Looking at a file is not meeting it.
    assert book.dump() == [(source, fingerprint(LOG))]


def test_a_file_that_cannot_be_read(tmp_path):
    assert recognise(str(tmp_path / "gone"), SourceBook(), nothing_read) is None


def test_names_beside_change_with_every_rotation(tmp_path):
    path = tmp_path / "log"
    seen = [names_beside(str(path))]
    put(path, LOG)
    seen.append(names_beside(str(path)))
    path.rename(tmp_path / "log.1")
    seen.append(names_beside(str(path)))
    put(tmp_path / "other", LOG)
    assert names_beside(str(path)) == seen[-1]
    assert len(set(seen)) == 3
    assert names_beside(str(tmp_path / "gone" / "log")) == frozenset()
