import pytest

from intake.patterns import (
    MAX_TARGETS,
    canonical_path,
    compile_route,
    parse_query,
    split_ids,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/18", "/users/18"),
        ("/users/%31%38", "/users/18"),
        ("/users/%2531%2538", "/users/18"),
        ("/users%2f18", "/users/18"),
        ("//users///18", "/users/18"),
        ("/users/18;x=1", "/users/18"),
        ("/users/18%3bx=1/orders", "/users/18/orders"),
        ("/users/17/../18", "/users/18"),
        ("/users/17/..;/18", "/users/18"),
        ("/users/%2e%2e/users/18", "/users/18"),
        ("/../../users/18", "/users/18"),
        ("/users/./18/", "/users/18/"),
        ("/users/18%", "/users/18%"),
        ("/users/%ff", "/users/\\xff"),
        ("/.well-known/x", "/.well-known/x"),
        ("/", "/"),
        ("//", "/"),
        ("", ""),
    ],
)
def test_canonical_path(path, expected):
    assert canonical_path(path) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user_id=18", [("user_id", "18")]),
        ("User-ID=18", [("user_id", "18")]),
        ("ids[]=18&ids[0]=19", [("ids", "18"), ("ids", "19")]),
        ("filter[user_id]=18", [("filter_user_id", "18")]),
        ("user%5Fid=%31%38", [("user_id", "18")]),
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
