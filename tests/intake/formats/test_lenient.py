import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._lenient import exact, read
from intake.line import Unreadable

CASES = [
    ("plain json", b'{"a":[1,null,"x"]}', {"a": [1, None, "x"]}),
    ("control bytes in a string", b'{"a":"x\x01\x1by\tz"}', {"a": "x\x01\x1by\tz"}),
    ("broken utf-8", b'{"a":"x\xff\xfe\xc3\xa9"}', {"a": "x\\xff\\xfeé"}),
    ("quotes as nginx escapes them", rb'{"a":"x\x22y\x5Cz"}', {"a": 'x"y\\z'}),
    ("utf-8 as nginx escapes it", rb'{"a":"\xC3\xA9\xFF"}', {"a": "é\\xff"}),
    ("an escaped backslash is not touched", rb'{"a":"x\\x22"}', {"a": r"x\x22"}),
    ("an unknown escape", rb'{"a":"x\qy"}', {"a": r"x\qy"}),
    ("half a surrogate", rb'{"a":"x\ud800y\udc00"}', {"a": "x\ufffdy\ufffd"}),
    ("a whole surrogate", rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
    ("a bare dash", b'{"a":-,"b": - }', {"a": None, "b": None}),
    ("no value", b'{"a":,"b":}', {"a": None, "b": None}),
    ("a dash in a string", b'{"a":"x:-,y:,"}', {"a": "x:-,y:,"}),
    ("a comma too many", b'{"a":[1,],}', {"a": [1]}),
    ("NaN", b'{"a":NaN}', None),
    ("long integers", b'{"a":123456789012345678901234}', {"a": 123456789012345678901234}),
    ("integers as floats", b'{"a":9007199254740993.0,"b":1.5,"c":-1e30}',
     {"a": 9007199254740993, "b": 1.5, "c": -(10**30)}),
    ("a float beyond all", b'{"a":1e999}', {"a": float("inf")}),
    ("repeated names", b'{"a":1,"a":2}', {"a": 2}),
    ("NULs, BOM, CR", b'\0\0\xef\xbb\xbf{"a":1}\r\n\0', {"a": 1}),
]  # fmt: skip

BAD = [
    ("text", b"hello", "not_json"),
    ("cut off", b'{"a":"x', "not_json"),
    ("bare quotes", b'{"a":"x"y"}', "not_json"),
    ("two values", b'{"a":1}{"b":2}', "not_json"),
    ("deep", b"[" * 100_000, "not_json"),
    ("deep, objects", b'{"a":' * 100_000, "not_json"),
    ("an integer of many digits", b'{"a":' + b"9" * 5000 + b"}", "not_json"),
    ("empty", b"", "not_json"),
    ("NULs", b"\0" * 9, "binary"),
    ("bytes", b"\xff\xfe\xfd\xfc{", "binary"),
]


@pytest.mark.parametrize(("name", "line", "expected"), CASES, ids=[c[0] for c in CASES])
def test_what_can_be_mended(name, line, expected):
    if expected is None:
        assert str(read(line)["a"]) == "nan"
    else:
        assert read(line) == expected


@pytest.mark.parametrize(("name", "line", "reason"), BAD, ids=[c[0] for c in BAD])
def test_what_cannot(name, line, reason):
    with pytest.raises(Unreadable) as caught:
        read(line)
    assert caught.value.reason == reason


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_good_json_keeps_its_meaning(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert read(text.encode()) == value


@given(VALUES)
def test_what_the_fast_reader_reads_is_read_exactly(value):
    text = json.dumps({"value": value, "id": 12345678901234567890123, "x": 1e30, "y": 0.5})
    found = {"value": value, "id": 12345678901234567890123, "x": 10**30, "y": 0.5}
    assert exact(text.encode()) == found


def test_a_line_too_deep_to_be_read_exactly_is_rejected():
    line = b'{"id":1e30,"a":' + b"[" * 1010 + b"]" * 1010 + b"}"
    assert orjson.loads(line)["id"] == 1e30
    with pytest.raises(Unreadable, match="not_json"):
        exact(line)


@given(st.binary())
def test_any_bytes_in_a_string_lose_nothing_else(junk):
    # As a server that escapes quotes, backslashes and line ends, and nothing more.
    written = junk.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    found = read(b'{"a":"' + written + b'","b":17}')
    assert found["b"] == 17
    assert found["a"] == junk.decode("utf-8", "backslashreplace")
    orjson.dumps(found)


@pytest.mark.parametrize("part", [b'\\"', b'"', b'" "', b": ", b", ", b"\\", b"\\x2", b"\\ud83d"])
def test_a_huge_line_is_read_as_a_short_one_is(part):
    # Whatever takes work like the square of the line does not get to an end here.
    for times in (3, 50_000):
        with pytest.raises(Unreadable, match="not_json"):
            read(b'{"a":' + part * times)
