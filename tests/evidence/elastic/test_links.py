from urllib.parse import unquote

import pytest

from evidence.elastic.links import discover_url, rison
from tests._events import NOON_MS

RISON = [
    ({"a": [1, True, None, "b c"], "d": "it's!"}, "(a:!(1,!t,!n,'b c'),d:'it!'s!!')"),
    ({"from": "now-1h"}, "(from:now-1h)"),
    ("2026-11-22T12:00:00.000Z", "'2026-11-22T12:00:00.000Z'"),
    ("", "''"),
    ("-1", "-1"),
    (False, "!f"),
    (1e30, "1e30"),
    ([], "!()"),
    ("user.id:ü", "'user.id:ü'"),
]


@pytest.mark.parametrize(("value", "text"), RISON, ids=[c[1] for c in RISON])
def test_rison(value, text):
    assert rison(value) == text


def test_a_link_opens_the_same_query_over_the_same_time():
    url = discover_url(
        "https://kibana.example.test/s/soc/", "breachline-findings", "user.id:\"a b\" AND x:'&#'",
        NOON_MS, NOON_MS + 1000,
    )  # fmt: skip
    assert url.isascii()
    assert not set(url) & set(' "<>`{}|\\^')
    assert url.count("#") == 1
    assert url.count("&") == 1
    assert unquote(url) == (
        "https://kibana.example.test/s/soc/app/discover#/?"
        "_g=(time:(from:'2026-11-22T12:00:00.000Z',to:'2026-11-22T12:00:01.000Z'))&"
        "_a=(columns:!(),index:breachline-findings,query:(language:lucene,"
        "query:'user.id:\"a b\" AND x:!'&#!''),sort:!(!('@timestamp',asc)))"
    )


def test_without_a_time_it_is_all_of_it():
    url = discover_url("http://kibana:5601", "v", "*", language="kuery")
    assert "(time:(from:'1970-01-01T00:00:00.000Z',to:now))" in url
    assert "language:kuery" in url
