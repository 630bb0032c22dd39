import pytest

from streams.yaml_file import ConfigError, parse_yaml, read_yaml


def problems_of(text):
    return [text for _, text in parse_yaml(text, "b.yaml").problems]


def refused(text):
    with pytest.raises(ConfigError) as error:
        parse_yaml(text, "b.yaml")
    return error.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: 1\nb: [x, {c: true}]\n", {"a": 1, "b": ["x", {"c": True}]}),
        ("\ufeffa: 1\n".lstrip("\ufeff"), {"a": 1}),
        ("base: &b {x: 1}\nmore: {<<: *b, y: 2}\n", {"base": {"x": 1}, "more": {"x": 1, "y": 2}}),
    ],
)
def test_values(text, expected):
    document = parse_yaml(text, "b.yaml")
    assert (document.data, document.problems) == (expected, [])


def test_every_value_and_key_knows_where_it_stands():
    document = parse_yaml("a:\n  - x\n  - {b: 7}\n", "b.yaml")
    assert document.at(("a", 1, "b")) == 7
    assert document.position(("a", 1, "b")) == (3, 9)
    assert document.position(("a", 1, "b"), key=True) == (3, 6)
    # What is not there: the nearest thing around it.
    assert document.position(("a", 1, "c")) == (3, 5)
    assert document.at(("a", 5)) is None
    assert document.at(("a", "b")) is None
    assert document.problem(("a", 1, "b"), "no") == ((3, 9), "b.yaml:3:9: a[1].b: no")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", ["b.yaml:2:1: a: this key stands twice, first in line 1: remove one"]),
        (
            "x:\n  a: 1\n  b: 2\n  a: 3\n  b: 4\n",
            [
                "b.yaml:4:3: x.a: this key stands twice, first in line 2: remove one",
                "b.yaml:5:3: x.b: this key stands twice, first in line 3: remove one",
            ],
        ),
        ("x: {on: 1}\n", ['b.yaml:1:5: x: a key must be a text: put it in quotes, "on"']),
        ("1: 1\n", ['b.yaml:1:1: file: a key must be a text: put it in quotes, "1"']),
        ("? [a]\n: 1\n", ["b.yaml:1:3: file: a key must be a text"]),
        (
            "a: 2027-13-45\n",
            ["b.yaml:1:4: a: month must be in 1..12: put it in quotes if it is a text"],
        ),
    ],
)
def test_problems_that_do_not_end_the_reading(text, expected):
    assert problems_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\n", "b.yaml:2:1: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\t- b\n", "b.yaml:2:1: this is not YAML: found character '\\t'"),
        ("a: 1\n---\nb: 2\n", "b.yaml:2:1: this is not YAML: but found another document"),
        ("a: *b\n", "b.yaml:1:4: this is not YAML: found undefined alias 'b'"),
        ("a: !!python/object:os.system x\n", "b.yaml:1:4: this is not YAML: could not"),
        ("- a\n", "b.yaml:1:1: the file must hold keys, such as `intake:`"),
        ("text\n", "b.yaml:1:1: the file must hold keys, such as `intake:`"),
        ("a: \x00\n", "b.yaml: this is not YAML: unacceptable character #x0000"),
        ("a: &a [*a]\n", "b.yaml: nested too deeply: take lists and aliases apart"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text, expected):
    (problem,) = refused(text)
    assert problem.startswith(expected)


def test_aliases_cannot_grow_without_end():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert refused("\n".join(lines)) == [
        "b.yaml: over 200000 values: take aliases (*name) out",
    ]


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9\n")
    cases = {
        "none.yaml": "none.yaml: no such configuration file (--config): create it or correct the "
        "path",
        ".": ".: is a directory (--config): name the YAML file",
        "latin.yaml": "latin.yaml: byte 6 is not UTF-8: save the file as UTF-8",
    }
    for name, expected in cases.items():
        with pytest.raises(ConfigError) as error:
            read_yaml(tmp_path / name, name, "--config")
        assert error.value.problems == [expected]


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "b.yaml").write_bytes("\ufeffa: 1\n".encode())
    assert read_yaml(tmp_path / "b.yaml", "b.yaml", "--config").data == {"a": 1}
