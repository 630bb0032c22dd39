from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.owner_url import host_of, is_askable, problem_of, takes_several, url_of
from streams.settings import ConfigError, load

ONE, SEVERAL = "https://cards.internal/owners/{object}", "http://a.example:8080/o?ids={objects}"
USER = "take user and password out of the URL, and use token_env or token_file"
WRITE = "write https://host/owners/{object}, or https://host/owners?ids={objects}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (ONE, ""),
        (SEVERAL, ""),
        ("https://[2001:db8::1]:8443/{object}", ""),
        ("cards.internal/{object}", f"not an http or https URL: {WRITE}"),
        ("ftp://cards.internal/{object}", f"not an http or https URL: {WRITE}"),
        ("https://", f"not an http or https URL: {WRITE}"),
        ("https://[::1/{object}", f"not an http or https URL: {WRITE}"),
        ("https://a.example:99999/{object}", f"not an http or https URL: {WRITE}"),
        ("https://a.example/a b/{object}", f"not an http or https URL: {WRITE}"),
        ("https://u:p@a.example/{object}", USER),
        ("https://a.example/owners", f"name the object once, behind the host: {WRITE}"),
        ("https://{object}.example/", f"name the object once, behind the host: {WRITE}"),
        ("https://a.example/{object}/{objects}", f"name the object once, behind the host: {WRITE}"),
        (
            "https://a.example/{tenant}/{object}",
            f"{{tenant}} cannot be filled in, only the object: {WRITE}",
        ),
        ("https://a.example/#{object}", "a URL that is asked has no fragment"),
    ],
)
def test_what_is_wrong_with_a_template(template, expected):
    assert problem_of(template) == expected


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("http: 'http://b.example/owners'",
         f"intake.ownership[0].http: name the object once, behind the host: {WRITE}"),
        ("http: 'http://b.example/{object}', token_env: A, token_file: breachline.yaml",
         "intake.ownership[0]: give token_env or token_file, not both"),
    ],
)  # fmt: skip
def test_a_configuration_says_where_it_is_wrong(tmp_path, source, problem):
    file = tmp_path / "breachline.yaml"
    file.write_text(f"intake: {{ownership: [{{route: '/a/{{object}}', {source}}}]}}")
    with pytest.raises(ConfigError) as error:
        load(file, {}, tmp_path)
    (said,) = error.value.problems
    assert said.endswith(f": {problem}")


def test_what_a_template_says():
    assert [(host_of(t), takes_several(t)) for t in (ONE, SEVERAL)] == [
        ("cards.internal", False), ("a.example:8080", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "objects", "expected"),
    [
        (ONE, ["c-1"], "https://cards.internal/owners/c-1"),
        (SEVERAL, ["1", "2"], "http://a.example:8080/o?ids=1,2"),
        (SEVERAL, ["1"], "http://a.example:8080/o?ids=1"),
        (ONE, ["../x?y=1#z&%"], "https://cards.internal/owners/..%2Fx%3Fy%3D1%23z%26%25"),
        (ONE, ["{objects}"], "https://cards.internal/owners/%7Bobjects%7D"),
    ],
)
def test_urls(template, objects, expected):
    assert url_of(template, objects) == expected


@given(st.text(min_size=1))
def test_an_object_stays_one_part_of_the_path(item):
    try:
        url = url_of(ONE, [item])
    except UnicodeEncodeError:
        assert not is_askable(item)
        return
    parts = urlsplit(url)
    assert (parts.netloc, parts.query, parts.fragment) == ("cards.internal", "", "")
    assert parts.path.count("/") == 2


@pytest.mark.parametrize(
    ("item", "expected"),
    [("c-1", True), ("é", True), ("x" * 256, True), ("x" * 257, False), ("", False), (".", False),
     ("..", False), ("a\n", False), ("\ud800", False)],
)  # fmt: skip
def test_what_can_be_asked_for(item, expected):
    assert is_askable(item) is expected
