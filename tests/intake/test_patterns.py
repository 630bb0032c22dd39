import pytest

from intake.patterns import (
    MAX_TARGETS,
    canonical_path,
    compile_route,
    model_of,
    parse_query,
    shape_of,
    split_ids,
)

UUID = "550e8400-e29b-41d4-a716-446655440000"


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
    ("path", "shape", "ids", "model"),
    [
        ("/v1/users/17/orders/5", "/v1/users/0/orders/0", ["17", "5"], "/v1/users/1/orders/2"),
        (f"/users/{UUID}", "/users/0", [UUID], "/users/1"),
        ("/users/u-17", "/users/0", ["u-17"], "/users/1"),
        ("/5/6", "/0/0", ["5", "6"], "/1/2"),
        ("/u-17/users", "/u-17/users", [], ""),
        ("/x/es-419", "/x/es-419", [], ""),
        ("/users/+1/x/7", "/users/+1/x/0", ["7"], ""),
        ("/users/17.json", "/users/17.json", [], ""),
        ("/users/17\n", "/users/17\n", [], ""),
        ("/", "/", [], "/"),
    ],
)
def test_shapes(path, shape, ids, model):
    assert shape_of(path) == (shape, ids)
    assert model_of(shape) == model
