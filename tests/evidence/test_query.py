import pytest

from evidence.history import History
from evidence.query.fields import EVENTS
from evidence.query.parse import parse
from records.event import Actor
from tests._events import NOON_MS


@pytest.fixture
def history(tmp_path, make):
    with History(tmp_path / "it's [a]*?", segment_rows=4) as opened:
        opened.append(
            [
                make.event(3, ip="192.0.2.1", verdict="own"),
                make.event(1, ip="192.0.2.2", principal="u-5", targets=("u-8", "u-9")),
                make.event(2, ip="192.0.2.2", session="aaaa", route="/x"),
                make.event(0, ip="192.0.2.1", path="/it's?a=%27"),
                make.event(4, ip="192.0.2.3", targets=()),
            ]
        )
        yield opened


SEARCHES = [
    ("all, by time", {}, [0, 1, 2, 3, 4]),
    ("address", {"ip": "192.0.2.2"}, [1, 2]),
    ("principal", {"principal": "u-5"}, [1]),
    ("session", {"session": "aaaa"}, [2]),
    ("one of the targets", {"user": "u-9"}, [1]),
    ("route", {"route": "/x"}, [2]),
    ("half-open time", {"since_ms": NOON_MS + 1000, "until_ms": NOON_MS + 3000}, [1, 2]),
    ("condition", {"where": "\"offset\" >= 300 OR path LIKE '%it''s%' -- why"}, [0, 3, 4]),
    ("all together", {"ip": "192.0.2.2", "where": "status = 404 OR true", "since_ms": 0}, [1, 2]),
    ("limit", {"limit": 2}, [0, 1]),
    ("empty value", {"ip": ""}, []),
    ("quote in a value", {"ip": "' OR '1'='1"}, []),
]


@pytest.mark.parametrize(("name", "search", "found"), SEARCHES, ids=[c[0] for c in SEARCHES])
def test_search(history, name, search, found):
    assert [row["offset"] // 100 for row in history.search(**search)] == found


def test_search_gives_whole_rows(history, make):
    (row,) = history.search(user="u-9")
    assert row == {
        "event": "a1b2-64",
        "source": "a1b2",
        "offset": 100,
        "time_ms": NOON_MS + 1000,
        "ip": "192.0.2.2",
        "method": "GET",
        "path": "/users/u-1/profile",
        "route": "/users/{owner}/profile",
        "status": 200,
        "bytes": 512,
        "host": "api.example.test",
        "user_agent": "agent/1",
        "request_id": "r-1",
        "principal": "u-5",
        "provenance": "gateway",
        "session": "5e55",
        "claimed": "",
        "tenant": "",
        "targets": ["u-8", "u-9"],
        "object": "",
        "category": "contact",
        "effect": "read",
        "outcome": "proven",
        "verdict": "foreign",
        "allowed": "",
        "late": False,
    }


def test_sql_over_the_view(history):
    query = "WITH a AS (SELECT ip, count(*) n FROM events GROUP BY ip) FROM a ORDER BY ip"
    assert history.sql(query) == (
        ["ip", "n"],
        [("192.0.2.1", 2), ("192.0.2.2", 2), ("192.0.2.3", 1)],
    )
    columns, rows = history.sql("SELECT max(time) AS last FROM events WHERE time < '2026-12-01'")
    assert (columns, rows[0][0].isoformat()) == (["last"], "2026-11-22T12:00:04")


def test_counts_by_verdict(history):
    assert history.counts_by_verdict() == {"foreign": 4, "own": 1}
    assert history.counts_by_verdict(ip="192.0.2.1") == {"foreign": 1, "own": 1}
    assert history.counts_by_verdict(ip="203.0.113.1") == {}


REFUSED = [
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_parquet('{folder}/*.parquet')",
    "SELECT * FROM read_parquet('https://192.0.2.1/a.parquet')",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "ATTACH '{folder}/other.db'",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW events",
    "SELECT 1; COPY (SELECT 1) TO '{folder}/out.csv'",
    "SELECT 1; SELECT 2",
    "EXPLAIN SELECT 1",
    "SELECT nothing FROM events",
    "SELEC",
    "",
]


@pytest.mark.parametrize("query", REFUSED)
def test_sql_is_one_select_that_reads_nothing_else(history, tmp_path, query):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises((ValueError, OSError), match="searching history"):
        history.sql(query.format(file=secret, folder=tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["it's [a]*?", "secret.csv"]


CONDITIONS = ["1=1) UNION ALL SELECT 1 --", "1=1); COPY (SELECT 1) TO 'x' --", "(", "", "status ="]


@pytest.mark.parametrize("where", CONDITIONS)
def test_condition_is_a_condition(history, where):
    with pytest.raises(ValueError, match="searching history"):
        list(history.search(where=where))


def test_search_that_is_left_early_ends(history):
    rows = history.search()
    assert next(rows)["offset"] == 0
    rows.close()
    assert len(list(history.search())) == 5


def test_nothing_is_there_yet(tmp_path):
    history = History(tmp_path / "none")
    assert list(history.search()) == []
    assert history.sql("SELECT count(*) AS n FROM events") == (["n"], [(0,)])
    assert not (tmp_path / "none").exists()


QUERIES = [
    ("everything", "", {}, [0, 1, 2, 3, 4]),
    ("a value", "user.id:u-5", {}, [1]),
    ("one of the targets", "breachline.targets:u-?", {"limit": 3}, [0, 1, 2]),
    ("a part of a network", "source.ip:192.0.2.0/30 AND NOT source.ip:192.0.2.2", {}, [0, 3, 4]),
    ("with the rest", "NOT user.id:u-5", {"ip": "192.0.2.2", "where": "status = 200"}, [2]),
    ("in a time", "source.ip:*", {"since_ms": NOON_MS + 1000, "until_ms": NOON_MS + 2000}, [1]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "rest", "found"), QUERIES, ids=[c[0] for c in QUERIES])
def test_search_by_a_query(history, name, text, rest, found):
    node = parse(text, EVENTS, NOON_MS)
    assert [row["offset"] // 100 for row in history.search(node, **rest)] == found


def test_looking_back(history):
    actor = Actor("principal", "u-66")
    assert [row["offset"] // 100 for row in history.look_back(actor)] == [0, 2, 3, 4]
    since, until = NOON_MS + 1000, NOON_MS + 4000
    assert [row["offset"] // 100 for row in history.look_back(actor, since, until)] == [2, 3]
    assert history.left_out == ()
    with pytest.raises(ValueError, match="looking back for fingerprint:x"):
        history.look_back(Actor("fingerprint", "x"))
