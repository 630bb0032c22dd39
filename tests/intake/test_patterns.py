import pytest

from intake.patterns import MAX_TARGETS, compile_route, parse_query, split_ids

U1, U2 = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "3fa85f64-5717-4562-b3fc-2c963f66afa7"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user_id=18", [("user_id", "18")]),
        ("User-ID=18", [("user_id", "18")]),
        ("ids[]=18&ids[0]=19", [("ids", "18"), ("ids", "19")]),
        ("filter[user_id]=18", [("filter_user_id", "18")]),
        ("user%5Fid=%31%38", [("user_id", "18")]),
        ("user_id=%2531%2538", [("user_id", "18")]),
        ("user_id=18%00.json", [("user_id", "18")]),
        ("user_id=%0018", [("user_id", "18")]),
        ("page=1;user_id=18", [("page", "1"), ("user_id", "18")]),
        ("ids=1;2;3", [("ids", "1"), ("ids", "2"), ("ids", "3")]),
        ("ids=1|2%7C3", [("ids", "1"), ("ids", "2"), ("ids", "3")]),
        ("ids=1+2%203", [("ids", "1"), ("ids", "2"), ("ids", "3")]),
        (f"ids={U1}|{U2}", [("ids", U1), ("ids", U2)]),
        ("id=auth0|5f7c8ec7", [("id", "auth0|5f7c8ec7")]),
        ("ids=[1,2]&ids=(3,4)", [("ids", "1,2"), ("ids", "3,4")]),
        ('ids=["a-1","a-2"]', [("ids", '"a-1","a-2"')]),
        (
            "id={3fa85f64-5717-4562-b3fc-2c963f66afa6}",
            [("id", "{3fa85f64-5717-4562-b3fc-2c963f66afa6}")],
        ),
        ("filter[id]=1,2", [("filter_id", "1,2")]),
        (
            "filter[id][]=1&filter[id][in]=2&filter[id][$in][0]=3&id__in=4",
            [("filter_id", "1"), ("filter_id", "2"), ("filter_id", "3"), ("id", "4")],
        ),
        ("q=a+b&x&y=&=1", [("q", "a b"), ("", "1")]),
        ("", []),
    ],
)
def test_parse_query(query, expected):
    assert parse_query(query) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["18"], (("18",), 0)),
        (["18,017,18", " 19"], (("17", "18", "19"), 0)),
        (["me", "18"], (("18",), 0)),
        (["18,,"], (("18",), 0)),
        (['"a-1","a-2"'], (("a-1", "a-2"), 0)),
        (["\uff11\uff18"], (("18",), 0)),
        (["{id}", "{user1},18", "{proxy+}"], (("18",), 0)),
        (
            ["{abcdef12-5717-4562-b3fc-2c963f66afa6}"],
            (("abcdef12-5717-4562-b3fc-2c963f66afa6",), 0),
        ),
        (["{18}", "{a"], (("{18}", "{a"), 0)),
        ([], ((), 0)),
    ],
)
def test_split_ids(values, expected):
    assert split_ids(values) == expected


def test_split_ids_counts_what_it_does_not_take():
    ids, excess = split_ids([",".join(map(str, range(MAX_TARGETS + 7)))])
    assert (len(ids), excess) == (MAX_TARGETS, 7)


@pytest.mark.parametrize(
    ("route", "path", "query", "expected"),
    [
        ("/a/{owner}", "/a/18", "", {"owner": ["18"]}),
        ("/a/{owner}", "/A/18/", "", {"owner": ["18"]}),
        ("/a/{owner}", "/a/18/b", "", None),
        ("/a/{owner}/**", "/a/18", "", {"owner": ["18"]}),
        ("/a/{owner}/**", "/a/18/b/c\nd", "", {"owner": ["18"]}),
        ("/**/a/{owner}", "/x/y/a/18", "", {"owner": ["18"]}),
        ("/a/*/b", "/a/x/b", "", {}),
        ("/a/x-{owner}.json", "/a/x-18.json", "", {"owner": ["18"]}),
        ("/t/{tenant}/u/{owner}", "/t/1/u/18", "", {"tenant": ["1"], "owner": ["18"]}),
        ("/a/{owner}/b/{owner}", "/a/17/b/18", "", {"owner": ["17", "18"]}),
        ("/a?user={owner}", "/a", "user=18&user=19", {"owner": ["18", "19"]}),
        ("/a?user={owner}", "/a", "x=1", None),
        ("/a.b", "/axb", "", None),
        ("/a/{owner}/b/{object}", "/a/{id}/b/18", "", {"object": ["18"]}),
        ("/a/{owner}", "/a/{18}", "", {"owner": ["{18}"]}),
    ],
)
def test_patterns(route, path, query, expected):
    assert compile_route(route).match(path, query) == expected


def test_a_route_may_lack_its_first_slash():
    assert compile_route("**").match("/any/thing", "") == {}


@pytest.mark.parametrize(
    ("match", "plain"),
    [
        ("/a/{owner}/**", True),
        ("/v1/x-y/*/{owner}", True),
        ("/a?id={owner}", True),
        ("/a/2024/{owner}", False),
        ("/a/u-{owner}", False),
        ("/a/{owner}.json", False),
        ("/a/{owner}-{object}", False),
        ("/a/u-5", False),
    ],
)
def test_plain_routes(match, plain):
    assert compile_route(match).is_plain is plain
