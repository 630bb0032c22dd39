"""A person's rows leave the segments, everybody else's stay, and no byte of the id does."""

import pytest

from evidence._erase_segments import erase_rows, rows_naming, staged_naming
from evidence.history import History
from evidence.store import EmbeddedStore
from tests._events import event

OTHERS = {"principal": "u-1", "targets": ("u-2",), "claimed": "", "object": "", "path": "/x"}
NAMED = [
    event(1, **{**OTHERS, "principal": "person-77"}),
    event(3, **{**OTHERS, "targets": ("a", "person-77")}),
    event(4, **{**OTHERS, "claimed": "person-77"}),
    event(7, **{**OTHERS, "object": "person-77"}),
]
KEPT = [
    event(0, **OTHERS),
    event(2, **{**OTHERS, "principal": "person-770", "targets": ("xperson-77",)}),
    event(5, **{**OTHERS, "targets": ()}),
    event(6, **OTHERS),
    *(event(n, **OTHERS) for n in range(8, 20)),
]
ALL = sorted([*NAMED, *KEPT], key=lambda one: one.offset)


@pytest.mark.parametrize("segment_rows", [1, 3, 100])
def test_only_the_persons_rows_go(tmp_path, segment_rows):
    folder = tmp_path / "history"
    with History(folder, segment_rows=segment_rows) as history:
        history.append(ALL)
    assert rows_naming(folder, "person-77") == 4
    assert erase_rows(folder, "person-77") == 4
    assert rows_naming(folder, "person-77") == erase_rows(folder, "person-77") == 0
    with History(folder) as history:
        found = [row["event"] for row in history.search()]
    assert found == [one.id for one in KEPT]
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"person-77" not in content.replace(b"person-770", b"").replace(b"xperson-77", b"")


@pytest.mark.parametrize("flushed", [False, True])
def test_rows_that_are_in_no_segment_yet_are_counted_too(tmp_path, flushed):
    folder = tmp_path / "history"
    with EmbeddedStore.open(tmp_path / "store") as store, History(folder) as history:
        history.recover(store)
        history.append(ALL)
        with store.transaction():
            history.stage(store)
        assert (rows_naming(folder, "person-77"), staged_naming(store, "person-77")) == (0, 4)
        if flushed:
            history.flush()
            with store.transaction():
                history.stage(store)
            assert (rows_naming(folder, "person-77"), staged_naming(store, "person-77")) == (4, 0)


def test_where_nothing_was_kept_nothing_goes(tmp_path):
    assert rows_naming(tmp_path / "none", "u-1") == erase_rows(tmp_path / "none", "u-1") == 0
    assert not (tmp_path / "none").exists()
