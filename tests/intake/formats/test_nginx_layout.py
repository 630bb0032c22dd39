import pytest

from intake.formats._layout import Slot
from intake.formats._nginx_layout import nginx_layout

PLAIN = '$remote_addr [$time_local] "$request" $status'


def keys(text):
    return [piece.key for piece in nginx_layout(text).pieces if isinstance(piece, Slot)]


def literals(text):
    return [piece for piece in nginx_layout(text).pieces if isinstance(piece, str)]


WRITTEN = [
    ("bare", PLAIN),
    ("in a quoted string", f"'{PLAIN}'"),
    ("in braces", PLAIN.replace("$status", "${status}")),
    ("in several strings", "'$remote_addr [$time_local] '\n    '\"$request\" $status'"),
    ("a directive", f"log_format main '{PLAIN}';"),
    ("a directive, default escapes", f"log_format main escape=default '{PLAIN}';"),
    ("a directive in double quotes",
     'log_format main "$remote_addr [$time_local] \\"$request\\" $status";'),
    ("strings of both kinds",
     """log_format main '$remote_addr [$time_local] "$request' "\\" $status";"""),
    ("escapes named, then bare", f"escape=json {PLAIN}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), WRITTEN, ids=[c[0] for c in WRITTEN])
def test_ways_to_write_it(name, text):
    assert keys(text) == ["remote_addr", "time_local", "request", "status"]
    assert literals(text) == [" [", '] "', '" ']
    assert nginx_layout(text).escaped


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ('"$request_method $uri?$args"', "uri"),
        ('"$uri$is_args$args"', "uri"),
        ('"$uri$is_args$query_string"', "uri"),
        ('"$uri" "$args"', "uri args"),
        ('"$uri $is_args" "$args"', "uri is_args args"),
    ],
)
def test_a_path_and_its_query_are_one_target(query, key):
    found = [k for k in keys(f"$remote_addr $msec {query}") if k != "request_method"]
    assert found == ["remote_addr", "msec", *key.split()]


KINDS = [
    ("$status", "fixed"), ("$host", "fixed"), ("$upstream_addr", "fixed"),
    ("$http_x_user_id", "text"), ("$cookie_sid", "text"), ("$remote_user", "text"),
    ("$req_id", "text"), ("$jwt_claim_sub", "text"), ("$sent_http_location", "text"),
    ("$my_map", "unknown"), ("$geoip_city", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("variable", "kind"), KINDS)
def test_who_writes_a_variable(variable, kind):
    found = nginx_layout(f'{PLAIN} "{variable}"').pieces[-2]
    assert isinstance(found, Slot)
    assert (found.label, found.key, found.kind) == (variable, variable[1:], kind)


BAD = [
    ("no time", '$remote_addr "$request"', "has no time"),
    ("no request", "$remote_addr $msec $status", "has no request"),
    ("an escape that nginx has not", f"escape=xml {PLAIN}", "default, json or none, not xml"),
    ("a bare string in a directive", f"log_format main {PLAIN}", "no string in quotes"),
    ("a string without an end", "log_format main '$remote_addr [$time_local] ", "no string"),
    ("forwarded and user bare",
     '$http_x_forwarded_for - $remote_user [$time_local] "$request"',
     r"where \$http_x_forwarded_for ends and \$remote_user begins"),
    ("agent after a bare request", "$remote_addr $msec $request $status $http_user_agent",
     r"quotes round each of them \(\"\$request\"\)"),
    ("nothing escaped", f'escape=none {PLAIN} "$http_user_agent"', "drop escape=none"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), BAD, ids=[c[0] for c in BAD])
def test_what_cannot_be_read(name, text, message):
    with pytest.raises(ValueError, match=message):
        nginx_layout(text)


def test_bars_are_no_help_but_tabs_are():
    with pytest.raises(ValueError, match="a client may write"):
        nginx_layout("$remote_addr|$msec|$request|$http_user_agent")
    assert keys(r"log_format t '$remote_addr\t$msec\t$request\t$http_user_agent';") == [
        "remote_addr", "msec", "request", "http_user_agent",
    ]  # fmt: skip
