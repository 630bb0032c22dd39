import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.redact import SECRET, is_secret, mask, mask_line, mask_target

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxNyJ9.c2ln"

TARGETS = [
    ("nothing to hide", "/api/v1/users/17", "/api/v1/users/17"),
    ("ordinary query", "/a?page=2&size=10", "/a?page=2&size=10"),
    ("token", "/a?token=abc&x=1", "/a?token=[secret]&x=1"),
    ("any case", "/a?Access_Token=abc", "/a?Access_Token=[secret]"),
    ("hyphen", "/a?api-key=abc", "/a?api-key=[secret]"),
    ("underscores left out", "/a?clientsecret=abc", "/a?clientsecret=[secret]"),
    ("encoded name", "/a?%74oken=abc", "/a?%74oken=[secret]"),
    ("doubly encoded name", "/a?%2574oken=abc", "/a?%2574oken=[secret]"),
    ("brackets", "/a?user[password]=abc", "/a?user[password]=[secret]"),
    ("encoded brackets", "/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=[secret]"),
    ("value with / and =", "/a?sig=ab/cd==&x=1", "/a?sig=[secret]&x=1"),
    ("empty value", "/a?token=&x=1", "/a?token=&x=1"),
    ("no value", "/a?token", "/a?token"),
    ("near names", "/a?keyword=b&monkey=c&pinned=d&zip_code=e&next_token=f",
     "/a?keyword=b&monkey=c&pinned=d&zip_code=e&next_token=f"),
    ("semicolon", "/a?x=1;session=abc", "/a?x=1;session=[secret]"),
    ("path parameter", "/a;jsessionid=A1.b/orders?x=1", "/a;jsessionid=[secret]/orders?x=1"),
    ("path parameter, other", "/a;v=1;sid=abc/orders", "/a;v=1;sid=[secret]/orders"),
    ("jwt in a path", f"/verify/{JWT}/now", "/verify/[secret]/now"),
    ("jwt under an innocent name", f"/a?x={JWT}", "/a?x=[secret]"),
    ("jwt of two parts", "/a?x=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxNyJ9", "/a?x=[secret]"),
    ("eyJ that is none", "/eyJust/a", "/eyJust/a"),
    ("userinfo", "/a?u=http://bob:pw@h.example/x", "/a?u=http://[secret]@h.example/x"),
    ("userinfo, encoded", "/a?u=http%3A%2F%2Fbob%3Apw%40h/x", "/a?u=http%3A%2F%2F[secret]%40h/x"),
    ("e-mail", "/a?email=ann@example.com", "/a?email=ann@example.com"),
    ("token in a nested target", "/l?to=https%3A%2F%2Fh%2F%3Ftoken%3Dabc%26y%3D1",
     "/l?to=https%3A%2F%2Fh%2F%3Ftoken%3D[secret]%26y%3D1"),
    ("json in a query", '/a?q={"token":"abc","x":1}', '/a?q={"token":"[secret]","x":1}'),
    ("json, encoded", "/a?q=%7B%22token%22%3A%22abc%22%7D",
     "/a?q=%7B%22token%22%3A%22[secret]%22%7D"),
    ("bearer in a value", "/a?h=Bearer%20abc", "/a?h=Bearer%20[secret]"),
]  # fmt: skip

TEXTS = [
    ("bearer", "x Bearer abc-1.2~3+/= y", "x Bearer [secret] y"),
    ("basic", '"Basic dXNlcjpwdw=="', '"Basic [secret]"'),
    ("negotiate", "negotiate YIIZ", "negotiate [secret]"),
    ("digest", 'a Digest username="bob", response="abc" z', "a Digest [secret]z"),
    ("digest in json", r'{"a":"Digest username=\"bob\", nonce=1","b":1}',
     '{"a":"Digest [secret]","b":1}'),
    ("header line", "X-Api-Key: abc", "X-Api-Key: [secret]"),
    ("cookie line", "Cookie: a=1; sid=2", "Cookie: [secret]"),
    ("cookies in a log", '"theme=dark; sid=ab/cd; lang=en"', '"theme=dark; sid=[secret]; lang=en"'),
    ("logfmt, quoted", 'password="a b c" x=1', 'password="[secret]" x=1'),
    ("map text", "{token=abc x=1}", "{token=[secret] x=1}"),
    ("combined", '192.0.2.1 - - [t] "GET /a?code=abc HTTP/1.1" 200 5 "ftp://u:p@h/?pin=1"',
     '192.0.2.1 - - [t] "GET /a?code=[secret] HTTP/1.1" 200 5 "ftp://[secret]@h/?pin=[secret]"'),
    ("json", '{"a":1,"password":"x","b":"y"}', '{"a":1,"password":"[secret]","b":"y"}'),
    ("json, spaces", '{"Api-Key" : "x"}', '{"Api-Key" : "[secret]"}'),
    ("json, escaped quote", r'{"password":"a\"b\\","c":1}', '{"password":"[secret]","c":1}'),
    ("json, number", '{"pin":1234,"c":1}', '{"pin":"[secret]","c":1}'),
    ("json, no value", '{"token":null,"auth":true,"sid":"","sig":"-"}',
     '{"token":null,"auth":true,"sid":"","sig":"-"}'),
    ("json, a status is no code", '{"code":404,"otp":404}', '{"code":404,"otp":"[secret]"}'),
    ("json, list", '{"Authorization":["a","b]"],"c":1}', '{"Authorization":"[secret]","c":1}'),
    ("json, object", '{"session":{"id":"x","k":{"v":"}"}},"c":1}', '{"session":"[secret]","c":1}'),
    ("json, dotted", '{"http.request.headers.cookie":"x"}',
     '{"http.request.headers.cookie":"[secret]"}'),
    ("json, header variable", '{"http_x_api_key":"x","http_cookie":"y"}',
     '{"http_x_api_key":"[secret]","http_cookie":"[secret]"}'),
    ("json in json", r'{"b":"{\"token\":\"a\\\"b\",\"c\":1}"}',
     r'{"b":"{\"token\":\"[secret]\",\"c\":1}"}'),
    ("json escaped by nginx", r"{\x22token\x22:\x22abc\x22}", r"{\x22token\x22:\x22[secret]\x22}"),
    ("single quotes", "{'token': 'a b'}", "{'token': '[secret]'}"),
    ("cut off", '{"token":"abc', '{"token":"[secret]'),
    ("object cut off", '{"token":{"a":"b', '{"token":"[secret]"'),
    ("nothing", '{"user":"ann","path":"/a"}', '{"user":"ann","path":"/a"}'),
]  # fmt: skip

HOSTILE = [
    "eyJ", "eyJ.", "bearer ", "basic\t", "digest a=", 'digest a="', "://", "://a@", "%3a%2f%2f",
    '"key":', '"key":[', '"key":{', '"key":"', r"\"key\":\"", "token=", 'token="', ";jsessionid=",
    '"', "'", "\\", '\\\\"', "%22key%22:", r"\x22key\x22:", "a=", "%3D", "{", "[", " ", "=", "&",
    "%2525", "cookie:", "authorization: ", "x-api-key:  ", "\n", "\xa0", "a@",
]  # fmt: skip


@pytest.mark.parametrize(("name", "target", "expected"), TARGETS, ids=[c[0] for c in TARGETS])
def test_targets(name, target, expected):
    assert mask_target(target) == expected
    assert mask_target(expected) == expected, "masking again changes nothing"


@pytest.mark.parametrize(("name", "target", "expected"), TARGETS, ids=[c[0] for c in TARGETS])
def test_a_target_in_a_line_is_masked_as_alone(name, target, expected):
    if '"' not in target and ";v=" not in target:
        assert mask(f'"GET {target} HTTP/1.1" 200') == f'"GET {expected} HTTP/1.1" 200'


@pytest.mark.parametrize(("name", "text", "expected"), TEXTS, ids=[c[0] for c in TEXTS])
def test_texts(name, text, expected):
    assert mask(text) == expected
    assert mask(expected) == expected, "masking again changes nothing"


def test_known_values_go_wherever_they_stand():
    assert mask("s=abcdefg /x/abcdefg", ["abcdefg"]) == "s=[secret] /x/[secret]"
    assert mask("user 17 asked 12345", ["17", "12345"]) == "user 17 asked 12345", "too short"
    assert mask("abcdefgh abcdef", ["abcdef", "abcdefgh"]) == "[secret] [secret]", "longest first"
    assert mask("a%2Fb%2Bcde", ["a/b+cde"]) == "[secret]", "as a URL writes it"
    assert mask(r"{a\"bcdef}", ['a"bcdef']) == "{[secret]}", "as JSON writes it"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("token", True), ("TOKEN", True), ("x-api-key", True), ("X_Auth_Token", True),
        ("reset_password", True), ("cookie_sid", True), ("http_authorization", True),
        ("PHPSESSID", True), ("user.password", True), ("user[pin]", True), ("%70in", True),
        ("tokens", False), ("keyboard", False), ("author", False), ("barcode", False),
        ("status_code", False), ("next_page_token", False), ("", False), ("token" * 100, False),
    ],
)  # fmt: skip
def test_names(name, expected):
    assert is_secret(name) is expected


def test_a_line_keeps_its_other_bytes():
    line = b'\xff\xfe\x00 "sid=abc; x=\xc3\xa9" \xc3\xa9secretvalue'
    assert mask_line(line, ["ésecretvalue"]) == (
        b'\xff\xfe\x00 "sid=[secret]; x=\xc3\xa9" [secret]',
        True,
    )
    assert mask_line(b"\xff plain \xc3\xa9") == (b"\xff plain \xc3\xa9", False)


@given(st.binary(), st.lists(st.text()))
def test_any_bytes_can_be_masked(line, known):
    masked, changed = mask_line(line, known)
    assert changed == (masked != line)
    assert changed == (SECRET.encode() in masked and masked != line)


SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._~-", min_size=8, max_size=30)


@given(SECRETS, st.sampled_from(["token", "api_key", "Password", "sid", "x-api-key", "%70wd"]))
def test_no_secret_survives_under_a_telling_name(value, name):
    value = "q7" + value
    for text in (
        f"/a?x=1&{name}={value}&y=2",
        f'192.0.2.1 - - [t] "GET /a?{name}={value} HTTP/1.1" 200 1 "-" "-"',
        f'{{"{name}": "{value}", "y": 2}}',
        f"Cookie: a=1; {name}={value}",
        f"u=https%3A%2F%2Fh%2F%3F{name}%3D{value}",
    ):
        if name.startswith("%") and text.startswith("{"):
            continue
        assert value not in mask(text)
    assert value not in mask_target(f"/a?x=1&{name}={value}&y=2")


@pytest.mark.parametrize("unit", HOSTILE, ids=[ascii(unit) for unit in HOSTILE])
@pytest.mark.parametrize("prefix", ["", "/?", '"":'], ids=["text", "target", "json"])
def test_a_huge_text_is_masked_as_a_short_one_is(prefix, unit):
    # A token takes up to five units, and names take turns with values: ten more are always masked
    # alike. Whatever takes work like the square of the text does not get to an end here.
    masked = mask_target if prefix == "/?" else mask
    short, longer = masked(prefix + unit * 10), masked(prefix + unit * 20)
    more = longer.removeprefix(short)
    assert longer == short + more
    many = 30_000 // len(unit)
    same = masked(prefix + unit * 10 * (1 + many)) == short + more * many
    assert same  # no diff of so much


HEADERS = [
    ("a token in a cookie of any name", f"theme=dark; shop={JWT}; x=1",
     "theme=dark; shop=[secret]; x=1"),
    ("Forwarded", '{"forwarded":"for=192.0.2.43;secret=_abcdef"}',
     '{"forwarded":"for=192.0.2.43;secret=[secret]"}'),
    ("Location with a code", '{"location":"https://app.example/cb?code=SplxlOBeZQ&x=1"}',
     '{"location":"https://app.example/cb?code=[secret]&x=1"}'),
    ("Location with a fragment", '{"location":"https://app.example/cb#access_token=2YotnFZF&x=1"}',
     '{"location":"https://app.example/cb#access_token=[secret]&x=1"}'),
    ("Location with a user", '{"location":"https://bob:pw@app.example/"}',
     '{"location":"https://[secret]@app.example/"}'),
    ("DPoP", f'{{"headers":{{"DPoP":["{JWT}"]}}}}', '{"headers":{"DPoP":["[secret]"]}}'),
    ("two Authorization headers", '{"Authorization":["Bearer abcdef12","abcdef34"]}',
     '{"Authorization":"[secret]"}'),
    ("a trace is none", '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
     '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), HEADERS, ids=[case[0] for case in HEADERS])
def test_headers_of_json_logs(name, text, expected):
    assert mask(text) == expected, name
