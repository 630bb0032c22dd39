import json

import pytest

from tests import _attack


def rows(said):
    assert (said.code, said.err) == (0, "")
    return [json.loads(line) for line in said.out.splitlines()]


def test_lines_for_people(cli, result):
    said = cli("history", "--ip", "203.0.113.7", "--limit", "2", "--from", result)
    assert said.out == (
        "2026-11-22 10:10:00 203.0.113.7     u-66         foreign      proven   "
        "GET /api/v1/wallets/u-10/x 200\n"
        "2026-11-22 10:10:01 203.0.113.7     u-66         foreign      proven   "
        "GET /api/v1/wallets/u-11/x 200\n"
    )


ASKED = [
    ("everything", [], 852),
    ("an address in another spelling", ["--ip", "::ffff:203.0.113.7"], 12),
    ("a principal", ["--principal", "u-66"], 12),
    ("whose data", ["--user", "u-10"], 71),
    ("a route", ["--route", "/api/v1/wallets/{owner}/**"], 12),
    ("since", ["--since", "2026-11-22T10:10:05Z"], 7),
    ("since a minute", ["--since", "2026-11-22T10:10Z", "--until", "2026-11-22T10:10:01Z"], 1),
    ("until a day", ["--until", "2026-11-22"], 0),
    ("until", ["--since", "2026-11-22T10:10:05Z", "--until", "2026-11-22T10:10:07Z"], 2),
    ("a condition", ["--where", "verdict = 'foreign' AND path LIKE '%u-1_/x'"], 10),
    ("a limit", ["--limit", "5"], 5),
    ("nobody", ["--ip", "192.0.2.1"], 0),
]


@pytest.mark.parametrize(("name", "args", "expected"), ASKED, ids=[c[0] for c in ASKED])
def test_what_is_asked_is_found(cli, result, name, args, expected):
    found = rows(cli("history", *args, "--json", "--from", result))
    assert len(found) == expected
    assert [row["time_ms"] for row in found] == sorted(row["time_ms"] for row in found)


def test_sql(cli, result):
    query = (
        "SELECT principal, count(*) AS n, max(time) AS last FROM events "
        "WHERE verdict = 'foreign' GROUP BY 1"
    )
    assert rows(cli("history", "--sql", query, "--from", result)) == [
        {"principal": _attack.ATTACKER, "n": 12, "last": "2026-11-22T10:10:11"}
    ]


def test_what_a_running_service_has_not_yet_written_out_is_found_too(cli, attack):
    assert cli("run", attack, "--once").code == 0
    assert len(rows(cli("history", "--json"))) == 852


WRONG = [
    ("no time", ["--since", "yesterday"], "'yesterday' is no time: write 2026-11-22T10:00:00Z"),
    ("no condition", ["--where", "bogus("], "Error: searching history: "),
    ("two statements", ["--sql", "SELECT 1; SELECT 2"], "write one SELECT on `events`"),
    ("another file", ["--sql", "SELECT * FROM read_text('/etc/hostname')"], "searching history"),
    ("a limit of none", ["--limit", "0"], "0 is not in the range"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("history", *args, "--from", result)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_before_anything_was_read(cli):
    assert "nothing was kept there yet" in cli("history").err


def test_a_query_over_ecs_fields_is_a_command_below_it(cli, result):
    asked = "source.ip:203.0.113.7 AND breachline.verdict:foreign"
    assert len(rows(cli("history", "search", asked, "--json", "--from", result))) == 12


@pytest.mark.parametrize("args", [["--json"], ["--ip", "192.0.2.1"], ["--from", "x"]])
def test_options_before_search_are_not_lost_in_silence(cli, result, args):
    said = cli("history", *args, "search", "user.id:u-1")
    assert (said.code, said.out) == (2, "")
    assert f"{args[0]} stands before search: put options after it" in said.err


def test_a_command_that_is_none(cli):
    said = cli("history", "serach")
    assert (said.code, said.out) == (2, "")
    assert "No such command 'serach'" in said.err
