import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.spelling import canonical_path, decoded, matrix_query, plain_id


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/18", "/users/18"),
        ("/", "/"),
        ("", ""),
        ("*", "*"),
        # percent-encoding, however often
        ("/users/%31%38", "/users/18"),
        ("/users/%75-18", "/users/u-18"),
        ("/users/%2531%2538", "/users/18"),
        ("/users/%" + "25" * 40 + "3118", "/users/118"),
        ("/users%2f18", "/users/18"),
        ("/users/%u0031%u0038", "/users/18"),
        ("/users/%u00u00318", "/users/%u00u00318"),
        ("/users/18%", "/users/18%"),
        ("/users/%ud83d", "/users/%ud83d"),
        ("/users/Jos%C3%A9", "/users/Jos\u00e9"),
        ("/users/Jos%e9", "/users/Jos\u00e9"),
        # overlong UTF-8
        ("/users%c0%af18", "/users/18"),
        ("/users/17/%c0%ae%c0%ae/18", "/users/18"),
        ("/users/%e0%80%b18", "/users/18"),
        ("/users/%f0%80%80%b18", "/users/18"),
        ("/users/%c0%a53118", "/users/118"),
        # slashes and dots
        ("//users///18", "/users/18"),
        ("//", "/"),
        ("/users\\18", "/users/18"),
        ("/users%5c18", "/users/18"),
        ("/users/17/..\\18", "/users/18"),
        ("/users/./18/", "/users/18/"),
        ("/users/17/../18", "/users/18"),
        ("/users/%2e%2e/users/18", "/users/18"),
        ("/../../users/18", "/users/18"),
        ("/users/17/..;/18", "/users/18"),
        ("/users/17/.. /18", "/users/18"),
        ("/users/18.", "/users/18"),
        ("/users/18...%20.", "/users/18"),
        ("/users/.../18", "/users/.../18"),
        ("/.well-known/x", "/.well-known/x"),
        # parameters of a segment
        ("/users/18;x=1", "/users/18"),
        ("/users/18%3bx=1/orders", "/users/18/orders"),
        ("/users;v=1/18", "/users/18"),
        # what ends a name in C, or in the next service behind this one
        ("/users/18%00", "/users/18"),
        ("/users/18%00.json", "/users/18"),
        ("/users/%0018", "/users/18"),
        ("/users/18%3fx=1", "/users/18"),
        ("/users/18%23x", "/users/18"),
        ("/users/17%00/../18", "/users/18"),
        ("/users/17%3f/../18", "/users/18"),
        # other digits and letters
        ("/users/\uff11\uff18", "/users/18"),
        ("/users/%EF%BC%91%EF%BC%98", "/users/18"),
        ("/users/\uff55\uff0d\uff11\uff18", "/users/u-18"),
        ("/users/\u0661\u0668", "/users/18"),
        ("/users/\uff26iona", "/users/\uff26iona"),
    ],
)
def test_canonical_path(path, expected):
    assert canonical_path(path) == expected


PIECES = st.sampled_from(
    [
        "%", "25", "%25", "%c0", "%af", "%a5", "%ae", "%2e", "%2f", "%5c", "%00", "%3f", "%ff",
        "%u0031", "%u0025", "%ud800", "c0", "a5", "u", "00", "31", "/", "\\", ".", "..", " ", ";",
        "x=1", "\0", "?", "#", "\u00e9", "\uff11", "\uff0f", "\uff0e", "\u2026", "\ud800",
        "\ufdfa", "users", "18",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=20)


@given(TEXTS.map("/{}".format) | TEXTS)
def test_nothing_raises_and_twice_is_as_once(path):
    once = canonical_path(path)
    assert canonical_path(once) == once
    assert decoded(decoded(path)) == decoded(path)


@given(TEXTS)
def test_no_odd_part_is_left(path):
    parts = canonical_path("/" + path).split("/")
    assert not {"..", "."} & set(parts)
    assert "" not in parts[1:-1]
    assert not any(set(part) & set("\0;?#\\") for part in parts)


def overlong(layers):
    """A `%` that was written as overlong UTF-8, whose own `%` were, and so on."""
    percent = "%"
    for _ in range(layers):
        percent = f"{percent}c0{percent}a5"
    return percent + "31"


N = 200_000


# Were any of it quadratic, these would not end.
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/%" + "25" * N + "31", "/1"),
        ("/%u0025" + "u0025" * N + "31", "/1"),
        ("/" + "%" * N, "/" + "%" * N),
        ("/.." * N, "/"),
        ("/a" + "/;" * N, "/a"),
        ("/" + "\u0301\u0316" * N, "/" + "\u0301\u0316" * N),
        ("/\uff11" * N, "/1" * N),
        ("/x" + ". " * N + "x", "/x" + ". " * N + "x"),
        ("/x" + ". " * N, "/x"),
        ("/" + overlong(15), "/1"),
    ],
    ids=["percents", "wide", "none", "parents", "parameters", "accents", "digits", "dots", "tail",
         "overlong"],
)  # fmt: skip
def test_long_paths(path, expected):
    assert canonical_path(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users;ids=1,2", "ids=1,2"),
        ("/users/;id=18;v=2/orders", "id=18&v=2"),
        ("/users%3Bid=18", "id=18"),
        ("/users;%69d=18", "id=18"),
        ("/users;jsession/18", ""),
        ("/users/18", ""),
        ("/users/%31", ""),
    ],
)
def test_matrix_query(path, expected):
    assert matrix_query(path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18", "18"),
        ("\uff11\uff18", "18"),
        ("u-\u0661\u0668", "u-18"),
        ("\uff26iona", "\uff26iona"),
        ("\uff0f18", "\uff0f18"),
        ("\uff0518", "\uff0518"),
        ("Jos\u00e91", "Jos\u00e91"),
        ("\uff11" * 300, "\uff11" * 300),
    ],
)
def test_plain_id(text, expected):
    assert plain_id(text) == expected
