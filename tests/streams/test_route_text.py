import pytest

from streams.route_text import route_problem, source_problem
from streams.settings import ConfigError, load

WRITE = "says nothing: write {owner}, {object} or {tenant} for an id, and * for any other part"
OBJECT = "name the object: write {object} where its id is"


@pytest.mark.parametrize(
    ("route", "of_route", "of_source"),
    [
        ("/{tenant}/orders/{object}", "", ""),
        ("/orders?ids={object}", "", ""),
        ("/teams/{slug}/{token}/x-{object}/**", "", ""),
        ("/users/{owner}", "", OBJECT),
        ("/health", "", OBJECT),
        ("/users/{ownr}", f"{{ownr}} {WRITE}", f"{{ownr}} {WRITE}"),
        ("/users/{}", f"{{}} {WRITE}", f"{{}} {WRITE}"),
        ("/orders/{object}/{lineId}", f"{{lineId}} {WRITE}", f"{{lineId}} {WRITE}"),
    ],
)
def test_what_is_wrong_with_a_route(route, of_route, of_source):
    assert (route_problem(route), source_problem(route)) == (of_route, of_source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "intake: {routes: [{match: '/a/{ownr}'}]}",
            f"1:27: intake.routes[0].match: {{ownr}} {WRITE}",
        ),
        (
            "intake: {ownership: [{route: /a, learn: true}]}",
            f"1:30: intake.ownership[0].route: {OBJECT}",
        ),
    ],
)
def test_a_configuration_says_where(tmp_path, text, expected):
    path = tmp_path / "breachline.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {}, tmp_path)
    assert [problem.partition("breachline.yaml:")[2] for problem in caught.value.problems] == [
        expected
    ]
