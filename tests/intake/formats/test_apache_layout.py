import pytest

from intake.formats._apache_layout import NICKNAMES, apache_layout
from intake.formats._layout import Slot


def keys(text):
    return [piece.key for piece in apache_layout(text).pieces if isinstance(piece, Slot)]


COMMON = ["remote_host", "", "remote_user", "time_local", "request", "status", "body_bytes_sent"]
WRITTEN = [
    ("bare", '%h %l %u %t "%r" %>s %b'),
    ("with its escapes", r"%h %l %u %t \"%r\" %>s %b"),
    ("in quotes", r'"%h %l %u %t \"%r\" %>s %b"'),
    ("a directive", r'LogFormat "%h %l %u %t \"%r\" %>s %b" common'),
    ("a log of its own", r'CustomLog logs/access_log "%h %l %u %t \"%r\" %>s %b" env=!dontlog'),
    ("a nickname", "common"),
]


@pytest.mark.parametrize(("name", "text"), WRITTEN, ids=[c[0] for c in WRITTEN])
def test_ways_to_write_it(name, text):
    assert keys(text) == COMMON
    assert apache_layout(text).pieces[-4:-1:2] == apache_layout("common").pieces[-4:-1:2]


@pytest.mark.parametrize("name", sorted(NICKNAMES))
def test_nicknames(name):
    assert "request" in keys(name)


DIRECTIVES = [
    ("%a", "remote_addr", "fixed"), ("%{c}a", "realip_remote_addr", "fixed"),
    ("%{client}a", "remote_addr", "fixed"), ("%{server}a", "", "fixed"),
    ("%{local}a", "", "fixed"), ("%E", "request_id", "fixed"),
    ("%s", "response_status", "fixed"), ("%<s", "response_status", "fixed"),
    ("%>s", "status", "fixed"), ("%{X-User-ID}i", "http_X-User-ID", "text"),
    ("%!200,304{Referer}i", "http_Referer", "text"), ("%400,501{Referer}i", "http_Referer", "text"),
    ("%{Location}o", "sent_http_Location", "text"), ("%{sid}C", "cookie_sid", "text"),
    ("%{UNIQUE_ID}e", "request_id", "fixed"), ("%{USER}e", "USER", "unknown"),
    ("%{note}n", "note", "unknown"), ("%{SSL_PROTOCOL}x", "SSL_PROTOCOL", "unknown"),
    ("%{ms}T", "", "fixed"), ("%D", "", "fixed"), ("%{remote}p", "", "fixed"),
    ("%{hextid}P", "", "fixed"), ("%V", "host", "fixed"), ("%O", "bytes_sent", "fixed"),
    ("%{X}^ti", "", "text"), ("%q", "query", "text"), ("%m", "request_method", "fixed"),
]  # fmt: skip


@pytest.mark.parametrize(("directive", "key", "kind"), DIRECTIVES)
def test_directives(directive, key, kind):
    found = apache_layout(f'%h %t "%r" "{directive}"').pieces[-2]
    assert isinstance(found, Slot)
    assert (found.label, found.key, found.kind) == (directive, key, kind)


def test_a_path_and_its_query_are_one_target():
    assert keys('%h %t "%m %U%q %H"') == ["remote_host", "time_local", "request_method", "uri", ""]


def test_parts_of_a_time():
    assert keys('%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t %h "%r"') == [
        "time:d", "time:b", "time:Y", "time:H", "time:M", "time:S", "time:fraction", "time:z",
        "remote_host", "request",
    ]  # fmt: skip
    assert keys('%{msec}t %h "%r"') == ["time:epoch", "remote_host", "request"]
    assert keys('%{end:%s}t %h "%r"') == ["time:s", "remote_host", "request"]


def test_a_percent_sign():
    assert apache_layout('%% %h %t "%r"').pieces[:2] == ("%", " ")


BAD = [
    ("no time", '%h "%r"', "has no time"),
    ("half a time", '%{%H:%M:%S}t %h "%r"', "has no time"),
    ("no request", "%h %t %>s", "has no request"),
    ("a time that cannot be read", '%{%c}t %h "%r"', "%c in %{%c}t cannot be read; log %t"),
    ("no directive", '%h %t "%r" %', "'%' is no directive"),
    ("agent bare after a bare request", "%h %t %r %>s %{User-Agent}i",
     "where %r ends and %{User-Agent}i begins"),
    ("user and header bare", '%h %{X-Forwarded-For}i %u %t "%r"', "a client may write"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), BAD, ids=[c[0] for c in BAD])
def test_what_cannot_be_read(name, text, message):
    with pytest.raises(ValueError, match=message):
        apache_layout(text)
