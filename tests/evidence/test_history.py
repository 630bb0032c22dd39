import errno
import os
from pathlib import Path

import pytest

import evidence._segments as segments_module
from evidence.history import History
from evidence.store import EmbeddedStore

DAY_S = 86_400


def rows(history) -> list[int]:
    return [row["offset"] // 100 for row in history.search()]


def names(history) -> list[str]:
    return sorted(path.name for path in history.directory.glob("*") if path.is_file())


def counts(history) -> list[int]:
    return [int(name.removesuffix(".parquet").rpartition("-")[2]) for name in names(history)]


# Alone


@pytest.mark.parametrize("batch", [1, 3, 10, 100])
def test_every_row_once_whatever_the_batches(tmp_path, make, batch):
    with History(tmp_path, segment_rows=10) as history:
        for start in range(0, 100, batch):
            history.append(make.events(start, min(start + batch, 100)))
        history.append(make.events(100, 105))
        history.append([])
        assert rows(history) == list(range(105))
        assert history.buffered() == 0
    assert sum(counts(history)) == 105
    assert rows(History(tmp_path)) == list(range(105))


def test_closing_writes_the_rest(tmp_path, make):
    with History(tmp_path) as history:
        history.append(make.events(0, 5))
        assert history.buffered() == 5
        assert names(history) == []
    assert counts(history) == [5]


def test_closing_without_rows_writes_nothing(tmp_path):
    with History(tmp_path / "h"):
        pass
    assert not (tmp_path / "h").exists()


def test_same_events_give_the_same_names(tmp_path, make):
    seen = []
    for directory in ("a", "b", "a"):
        with History(tmp_path / directory, segment_rows=10) as history:
            for start in range(0, 45, 5):
                history.append(make.events(start, start + 5))
        seen.append(names(history))
    assert seen[0] == seen[1] == seen[2]
    assert len(rows(History(tmp_path / "a"))) == 45


def full_disk(monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_failed_segment_surfaces_and_stays_an_error(tmp_path, make, monkeypatch):
    full_disk(monkeypatch)
    history = History(tmp_path, segment_rows=10)
    with pytest.raises(OSError, match=r"history to .*: .*No space left"):  # noqa: PT012
        # Whichever comes first behind the thread's failure says so.
        history.append(make.events(0, 20))
        history.flush()
    with pytest.raises(OSError, match="rows of history are lost since then"):
        history.append(make.events(20, 21))
    with pytest.raises(OSError, match="rows of history are lost since then"):
        history.close()
    assert names(history) == []


# Live


def commit(store: EmbeddedStore, history: History, events) -> None:
    """What the runner does: rows and position in one transaction."""
    history.append(events)
    with store.transaction():
        history.stage(store)
        store.put_source("a1b2", "a.log", events[-1].offset if events else 0, b"", b"")


def live(tmp_path, store, **settings) -> History:
    history = History(tmp_path / "history", **({"segment_rows": 10} | settings))
    history.recover(store)
    return history


def test_rows_are_searchable_from_the_first_moment(tmp_path, store, make):
    with live(tmp_path, store) as history:
        for start in range(0, 60, 3):
            commit(store, history, make.events(start, start + 3))
            assert rows(history) == list(range(start + 3))
        history.append(make.events(60, 61))
        assert rows(history) == list(range(61))
    assert sum(counts(history)) > 40


def test_segments_are_made_of_committed_rows_only(tmp_path, store, make):
    with live(tmp_path, store) as history:
        history.append(make.events(0, 50))
        history.flush()
        assert names(history) == []
        commit(store, history, [])
        assert names(history) == []
        history.flush()
        assert counts(history) == [50]
        assert len(list(store.staged_history())) == 1
        commit(store, history, [])
        assert list(store.staged_history()) == []


@pytest.mark.parametrize("flushes", [(), (7,), (3, 4, 10), tuple(range(16))])
def test_restart_after_any_commit_finds_each_row_once(tmp_path, make, flushes):
    with EmbeddedStore.open(tmp_path / "store") as store:
        for n in range(16):
            history = live(tmp_path, store)  # as if the one before had been killed
            commit(store, history, make.events(n * 2, n * 2 + 2))
            if n in flushes:
                history.flush()
            elif n % 3:
                commit(store, history, [])
            history.close()
            assert rows(live(tmp_path, store)) == list(range(n * 2 + 2))


def test_rows_of_a_lost_transaction_come_again_once(tmp_path, store, make):
    history = live(tmp_path, store)
    commit(store, history, make.events(0, 12))
    history.append(make.events(12, 30))

    def lost():
        with store.transaction():
            history.stage(store)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lost()
    history.close()
    with live(tmp_path, store) as history:
        commit(store, history, make.events(12, 30))
        commit(store, history, [])
        assert rows(history) == list(range(30))


def test_failed_segment_is_tried_again(tmp_path, store, make, monkeypatch):
    history = live(tmp_path, store)
    commit(store, history, make.events(0, 5))
    with monkeypatch.context() as patch:
        full_disk(patch)
        with pytest.raises(OSError, match="No space left"):
            history.flush()
        assert names(history) == []
        assert rows(history) == list(range(5))
    commit(store, history, make.events(5, 8))
    history.flush()
    assert counts(history) == [8]
    commit(store, history, [])
    assert list(store.staged_history()) == []
    assert rows(history) == list(range(8))
    history.close()


def test_full_disk_for_segments_does_not_stop_the_position(tmp_path, store, make, monkeypatch):
    history = live(tmp_path, store)
    with monkeypatch.context() as patch:
        full_disk(patch)
        for start in range(0, 60, 5):
            commit(store, history, make.events(start, start + 5))
            if history._jobs:
                history._jobs[0][0].exception()
        assert "No space left" in history.problem
        assert rows(history) == list(range(60))
    for start in range(60, 90, 5):
        commit(store, history, make.events(start, start + 5))
        assert rows(history) == list(range(start + 5))
    history.flush()
    commit(store, history, [])
    assert history.problem == ""
    assert list(store.staged_history()) == []
    history.close()
    assert rows(History(history.directory)) == list(range(90))


def test_segment_that_failed_behind_its_rename_is_not_doubled(tmp_path, store, make, monkeypatch):
    history = live(tmp_path, store)
    commit(store, history, make.events(0, 5))
    with monkeypatch.context() as patch:
        failing = OSError(errno.EIO, "I/O error")

        def fail(_):
            raise failing

        patch.setattr(segments_module, "sync_directory", fail)
        with pytest.raises(OSError, match="I/O error"):
            history.flush()
    commit(store, history, make.events(5, 8))
    history.flush()
    commit(store, history, [])
    history.close()
    assert counts(history) == [5, 3]
    assert rows(live(tmp_path, store)) == list(range(8))


def test_reader_of_another_process_sees_staged_rows(tmp_path, store, make):
    with live(tmp_path, store) as history, EmbeddedStore.open_readonly(store.path) as view:
        commit(store, history, make.events(0, 5))
        history.flush()  # on disk, and still staged
        commit_later = make.events(5, 8)
        reader = History(history.directory)
        reader.load_staged(view)
        assert rows(reader) == list(range(5))
        commit(store, history, commit_later)
        reader.load_staged(view)
        assert rows(reader) == list(range(8))


# Retention


def test_compact_merges_small_neighbours(tmp_path, make):
    history = History(tmp_path, segment_rows=10)
    for start, stop in ((0, 3), (3, 6), (6, 16), (16, 18), (18, 20), (20, 21), (21, 30), (30, 34)):
        history.append(make.events(start, stop))
        history.flush()
    assert counts(history) == [3, 3, 10, 2, 2, 1, 9, 4]
    assert history.compact() == 3
    assert counts(history) == [6, 10, 5, 9, 4]
    assert rows(history) == list(range(34))
    assert history.compact() == 0
    history.close()


def test_compact_leaves_segments_that_are_still_staged(tmp_path, store, make):
    with live(tmp_path, store) as history:
        for n in range(4):
            commit(store, history, [make.event(n)])
            history.flush()
        history.compact()
        # Killed here: the store still holds rows of the last segments.
    with live(tmp_path, store) as history:
        assert rows(history) == list(range(4))
        commit(store, history, [])
        commit(store, history, [])
        history.compact()
        assert rows(history) == list(range(4))
        assert len(names(history)) == 1


def dated(history, make, days) -> None:
    for day in days:
        history.append([make.event(day, time_ms=make.noon_ms + day * DAY_S * 1000)])
        history.flush()


def test_prune_by_age_looks_at_the_newest_row(tmp_path, make):
    history = History(tmp_path, max_age_s=2 * DAY_S)
    dated(history, make, [0, 1])
    history.append([make.event(2), make.event(9, time_ms=make.noon_ms + 9 * DAY_S * 1000)])
    history.flush()
    now_ms = make.noon_ms + 3 * DAY_S * 1000
    assert [name[:8] for name in history.prune(now_ms)] == ["20261122"]
    assert rows(history) == [2, 1, 9]
    assert history.prune(now_ms) == []
    history.close()


def test_prune_by_size_removes_the_oldest(tmp_path, make):
    history = History(tmp_path)
    dated(history, make, range(5))
    sizes = [(tmp_path / name).stat().st_size for name in names(history)]
    limited = History(tmp_path, max_bytes=sum(sizes[-2:]))
    assert len(limited.prune(make.noon_ms)) == 3
    assert rows(limited) == [3, 4]
    history.close()


def test_prune_keeps_everything_unless_told(tmp_path, make):
    history = History(tmp_path)
    dated(history, make, range(3))
    assert history.prune(2**50) == []
    history.close()


def test_search_survives_a_merge_meanwhile(tmp_path, make, monkeypatch):
    history = History(tmp_path, segment_rows=10)
    for n in range(4):
        history.append([make.event(n)])
        history.flush()
    reader = History(tmp_path)
    connect = History._connect

    def connected_just_before(self):
        connected = connect(self)
        history.compact()
        return connected

    monkeypatch.setattr(History, "_connect", connected_just_before)
    assert rows(reader) == list(range(4))
    assert counts(history) == [4]
    monkeypatch.undo()
    (tmp_path / names(history)[0]).write_bytes(b"no parquet")
    with pytest.raises((OSError, ValueError), match="searching history"):
        rows(reader)
    history.close()


def test_threads_end(tmp_path, make):
    import threading

    with History(tmp_path, segment_rows=2) as history:
        history.append(make.events(0, 20))
    assert [t.name for t in threading.enumerate() if t.name.startswith("history")] == []
    history.close()
    assert isinstance(history.directory, Path)
