import pytest

from evidence._columns import (
    COLUMNS,
    SEPARATOR,
    Columns,
    concatenated,
    pack_blob,
    table,
    unpack_blob,
)


def rows_of(*batches):
    columns = Columns()
    for batch in batches:
        columns.add(batch)
    return table(columns.take()).to_pylist()


def expected(event):
    names = {"event": "id", "time": "time_ms"}
    row = {name: getattr(event, names.get(name, name)) for name in COLUMNS}
    return row | {"targets": list(event.targets)}


def plain(row):
    millis = row["time"].timestamp() if row["time"].tzinfo else None
    assert millis is None  # UTC by convention: no zone, which DuckDB would need a package for
    return row


@pytest.mark.parametrize("sizes", [[1], [7], [1, 2, 4], [3, 0, 4]])
def test_rows_come_back_whatever_the_batches(make, sizes):
    events = make.events(0, sum(sizes))
    batches, start = [], 0
    for size in sizes:
        batches.append(events[start : start + size])
        start += size
    rows = [plain(row) for row in rows_of(*batches)]
    for row in rows:
        row["time"] = make.noon_ms + row["offset"] * 10
    assert rows == [expected(event) for event in events]


def test_time_is_utc(make):
    (row,) = rows_of([make.event(time_ms=1_790_000_000_123)])
    assert row["time"].isoformat() == "2026-09-21T14:13:20.123000"


TEXTS = ["", " ", "\n", "\r\n", "\x00", "é\U0001f600", '",\\', "a" * 100_000, "\ud800", SEPARATOR]


def test_no_value_moves_to_another_row(make):
    # A client writes its path and user agent: neither may shift the rows behind it.
    events = [
        make.event(n, path=text, user_agent=TEXTS[-n - 1], targets=(text, "x") if n % 3 else ())
        for n, text in enumerate(TEXTS)
    ]
    shown = {"\ud800": "\\ud800", SEPARATOR: "\\x1e"}
    rows = rows_of(events[:4], events[4:], events[:1])
    assert [row["path"] for row in rows] == [shown.get(t, t) for t in [*TEXTS, TEXTS[0]]]
    assert [row["user_agent"] for row in rows][:-1] == [shown.get(t, t) for t in reversed(TEXTS)]
    assert [row["targets"] for row in rows][:-1] == [
        [shown.get(t, t), "x"] if n % 3 else [] for n, t in enumerate(TEXTS)
    ]


def test_all_rows_without_targets(make):
    assert [row["targets"] for row in rows_of([make.event(targets=())] * 3)] == [[], [], []]


NUMBERS = [(0, 0), (-1, -1), (2**63 - 1, 2**63 - 1), (2**70, 2**63 - 1), (-(2**70), -(2**63) + 1)]


@pytest.mark.parametrize(("given", "kept"), NUMBERS)
def test_numbers_that_no_server_writes_are_clamped(make, given, kept):
    rows = rows_of([make.event(bytes=5), make.event(bytes=given)])
    assert [row["bytes"] for row in rows] == [5, kept]


def test_pack_survives_the_store(make):
    columns = Columns()
    columns.add([make.event(n, path=t) for n, t in enumerate(TEXTS)])
    pack = columns.look()
    assert unpack_blob(pack_blob(pack)) == pack == columns.take()
    assert columns.rows == 0


@pytest.mark.parametrize("damage", [b"", b"junk", lambda b: b[:-5], lambda b: b + b"x"])
def test_damaged_pack_is_said(make, damage):
    columns = Columns()
    columns.add([make.event()])
    blob = pack_blob(columns.take())
    with pytest.raises(ValueError, match="a row of the store is damaged"):
        unpack_blob(damage(blob) if callable(damage) else damage)


def test_concatenated_keeps_order_and_may_be_empty(make):
    packs = []
    for n in range(3):
        columns = Columns()
        columns.add([make.event(n)])
        packs.append(columns.take())
    assert concatenated(packs)["offset"].to_pylist() == [0, 100, 200]
    assert concatenated([]).num_rows == 0
    assert concatenated([]).column_names == list(COLUMNS)
